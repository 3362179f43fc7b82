//! The channel `gauge`: a device such as `gauge-1` sends readings and notes, and shows what its agent says.
//!
//! `abi.rs` is the header in Rust and `host.rs` its safe face: both fit any channel. `gauge.rs` has the rules of
//! this one. Here the functions of its table turn pointers into what Rust can check.

#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod gauge;
mod host;
mod json;

use abi::{read, size, AgentMessage, Channel, Claim, DeviceMessage, Session, Sink, Status, Text};
use gauge::{Gauge, Tally};
use host::{guard, Host};
use std::os::raw::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;

// The same as in the manifest, for which install-channels asks the library.
const ID: &str = "gauge";
const VERSION: &str = env!("CARGO_PKG_VERSION");

static TABLE: Channel = Channel {
    size: size::<Channel>(),
    abi_major: abi::MAJOR,
    abi_minor: abi::MINOR,
    context: ptr::null_mut(),
    describe: Some(describe),
    create: Some(create),
    destroy: Some(destroy),
    review: Some(review),
    get_extension: None,
    session_opened: Some(session_opened),
    session_closed: Some(session_closed),
    receive: Some(receive),
    deliver: Some(deliver),
    tick: None,
};

/// What this library exports.
///
/// # Safety
/// `host` is the table of a host.
#[no_mangle]
pub unsafe extern "C" fn goclaw_channel_entry(host: *const abi::Host) -> *const Channel {
    let entered = panic::catch_unwind(|| unsafe {
        // Of a table of another major version nothing else is known, not even how to log.
        if (*host).abi_major != abi::MAJOR {
            return ptr::null();
        }
        Host::new(host).log_panics();
        &TABLE
    });
    entered.unwrap_or(ptr::null())
}

// Below, SAFETY is the header's: what the host passes in is valid for the call, `instance` is what `create` made, and
// a session's calls come one after the other.

unsafe extern "C" fn describe(_: *const Channel, sink: *const Sink) -> Status {
    unsafe {
        guard(sink, |sink| {
            sink.description(ID, "Gauges", VERSION)?;
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn create(
    _: *const Channel,
    host: *const abi::Host,
    configuration: Text<'_>,
    sink: *const Sink,
    instance: *mut *mut c_void,
) -> Status {
    unsafe {
        guard(sink, |sink| {
            let gauge = Gauge::new(Host::new(host), configuration, sink)?;
            *instance = Box::into_raw(Box::new(gauge)).cast();
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    let _ = panic::catch_unwind(|| unsafe { Box::from_raw(instance.cast::<Gauge>()) }.end());
}

unsafe extern "C" fn review(instance: *mut c_void, claim: *const Claim<'_>, sink: *const Sink) -> Status {
    unsafe { guard(sink, |sink| shared(instance).review(&read(claim), sink)) }
}

unsafe extern "C" fn session_opened(_: *mut c_void, session: *const Session<'_>, sink: *const Sink) -> Status {
    unsafe {
        guard(sink, |_| {
            *read(session).slot = Box::into_raw(Box::<Tally>::default()).cast();
            Ok(Status::OK)
        })
    }
}

unsafe extern "C" fn session_closed(instance: *mut c_void, session: *const Session<'_>, _: Text<'_>) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| unsafe {
        let session = read(session);
        let tally = Box::from_raw((*session.slot).cast::<Tally>());
        shared(instance).session_closed(&session, *tally);
    }));
}

unsafe extern "C" fn receive(
    instance: *mut c_void,
    session: *const Session<'_>,
    message: *const DeviceMessage<'_>,
    sink: *const Sink,
) -> Status {
    unsafe {
        guard(sink, |sink| {
            let tally = &mut *(*read(session).slot).cast::<Tally>();
            shared(instance).receive(tally, &read(message), sink)
        })
    }
}

unsafe extern "C" fn deliver(
    instance: *mut c_void,
    _: *const Session<'_>,
    message: *const AgentMessage<'_>,
    sink: *const Sink,
) -> Status {
    unsafe { guard(sink, |sink| shared(instance).deliver(&read(message), sink)) }
}

/// The instance, of which several threads have a reference at the same time.
unsafe fn shared<'a>(instance: *mut c_void) -> &'a Gauge {
    unsafe { &*instance.cast::<Gauge>() }
}

// What the header's threads ask of an instance and of a slot, checked when this is compiled.
const _: fn() = || {
    fn is_sync<T: Send + Sync>() {}
    fn is_send<T: Send>() {}
    is_sync::<Gauge>();
    is_send::<Tally>();
};
