//! `goclaw_channel.h` 1.0 in Rust: the same members in the same order. bindgen makes the like of it.
//!
//! Every function of a table is an `Option`: null is no valid value of a bare function pointer.

// A channel uses what it needs.
#![allow(dead_code)]

use std::marker::PhantomData;
use std::mem::{size_of, MaybeUninit};
use std::os::raw::c_void;
use std::{cmp, ptr, slice};

pub const MAJOR: u16 = 1;
pub const MINOR: u16 = 0;

/// No `enum`: the host may return a number that this version does not name.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    pub const OK: Status = Status(0);
    pub const INVALID: Status = Status(1);
    pub const UNAVAILABLE: Status = Status(3);
    pub const LATER: Status = Status(4);
    pub const FAILED: Status = Status(5);
}

pub const LOG_DEBUG: i32 = 0;
pub const LOG_ERROR: i32 = 4;
pub const CREDENTIAL_KEY: u32 = 1;
pub const MESSAGE_PART: u32 = 1;
pub const MESSAGE_LAST: u32 = 2;

/// Borrowed text. The lifetime keeps what is lent for a call from being kept.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text<'a> {
    ptr: *const u8,
    len: usize,
    borrowed: PhantomData<&'a [u8]>,
}

impl<'a> Text<'a> {
    pub fn as_bytes(self) -> &'a [u8] {
        // A slice must not begin at null, which an empty text may do.
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the fields are private, so this came from a `&str` or from the host, whose promise it is.
        unsafe { slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text { ptr: text.as_ptr(), len: text.len(), borrowed: PhantomData }
    }
}

/// # Safety
/// A record of the header: it begins with `size`, and zero in every byte is a valid value.
pub unsafe trait Record: Copy {}

/// Copies a record of the host, which may be shorter (an older host) or longer (a newer one) than ours.
///
/// # Safety
/// `record` points to as many bytes as its `size` says, and what it refers to lives as long as `'a` in `T<'a>`.
pub unsafe fn read<T: Record>(record: *const T) -> T {
    let mut copy = MaybeUninit::<T>::zeroed();
    unsafe {
        let size = cmp::min(*record.cast::<u32>() as usize, size_of::<T>());
        ptr::copy_nonoverlapping(record.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), size);
        copy.assume_init()
    }
}

/// The `size` that begins a record or a table which we fill.
pub const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

#[repr(C)]
pub struct Description<'a> {
    pub size: u32,
    pub flags: u32,
    pub id: Text<'a>,
    pub display_name: Text<'a>,
    pub version: Text<'a>,
}

#[repr(C)]
#[derive(Default)]
pub struct Limits {
    pub size: u32,
    pub flags: u32,
    pub max_message_bytes: u32,
    pub burst: u32,
    pub messages_per_second: f64,
    pub heartbeat_ms: u64,
    pub silence_ms: u64,
    pub pairing_lifetime_ms: u64,
    pub tick_ms: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub size: u32,
    pub credential: u32,
    pub sender_id: Text<'a>,
    pub display_name: Text<'a>,
    pub metadata: Text<'a>,
}
unsafe impl Record for Claim<'_> {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Session<'a> {
    pub size: u32,
    pub credential: u32,
    pub id: u64,
    pub slot: *mut *mut c_void,
    pub sender_id: Text<'a>,
    pub metadata: Text<'a>,
    pub opened_ms: i64,
}
unsafe impl Record for Session<'_> {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct DeviceMessage<'a> {
    pub size: u32,
    pub flags: u32,
    pub number: i64,
    pub received_ms: i64,
    pub id: Text<'a>,
    pub body: Text<'a>,
}
unsafe impl Record for DeviceMessage<'_> {}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct AgentMessage<'a> {
    pub size: u32,
    pub flags: u32,
    pub number: i64,
    pub id: Text<'a>,
    pub agent: Text<'a>,
    pub body: Text<'a>,
    pub part: u32,
    pub reserved: u32,
}
unsafe impl Record for AgentMessage<'_> {}

#[repr(C)]
pub struct Frame<'a> {
    pub size: u32,
    pub flags: u32,
    pub event: Text<'a>,
    pub payload: Text<'a>,
}

#[repr(C)]
pub struct Sink {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub context: *mut c_void,
    pub description: Option<unsafe extern "C" fn(*const Sink, *const Description<'_>) -> Status>,
    pub limits: Option<unsafe extern "C" fn(*const Sink, *const Limits) -> Status>,
    pub detail: Option<unsafe extern "C" fn(*const Sink, Text<'_>, Text<'_>) -> Status>,
    pub message: Option<unsafe extern "C" fn(*const Sink, *const AgentMessage<'_>) -> Status>,
    pub frame: Option<unsafe extern "C" fn(*const Sink, *const Frame<'_>) -> Status>,
    pub reason: Option<unsafe extern "C" fn(*const Sink, Text<'_>, Text<'_>) -> Status>,
    pub later: Option<unsafe extern "C" fn(*const Sink) -> u64>,
}

pub type Writer = unsafe extern "C" fn(*mut c_void, *const Sink) -> Status;

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub context: *mut c_void,
    pub get_extension: Option<unsafe extern "C" fn(*const Host, Text<'_>) -> *const c_void>,
    pub log: Option<unsafe extern "C" fn(*const Host, i32, Text<'_>)>,
    pub clock_ms: Option<unsafe extern "C" fn(*const Host) -> i64>,
    pub monotonic_ns: Option<unsafe extern "C" fn(*const Host) -> u64>,
    pub count: Option<unsafe extern "C" fn(*const Host, Text<'_>, u64) -> Status>,
    pub gauge: Option<unsafe extern "C" fn(*const Host, Text<'_>, f64) -> Status>,
    pub close_session: Option<unsafe extern "C" fn(*const Host, u64, Text<'_>) -> Status>,
    pub answer: Option<unsafe extern "C" fn(*const Host, u64, Writer, *mut c_void) -> Status>,
}

type Instance = *mut c_void;

#[repr(C)]
pub struct Channel {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub context: *mut c_void,
    pub describe: Option<unsafe extern "C" fn(*const Channel, *const Sink) -> Status>,
    #[allow(clippy::type_complexity)]
    pub create:
        Option<unsafe extern "C" fn(*const Channel, *const Host, Text<'_>, *const Sink, *mut Instance) -> Status>,
    pub destroy: Option<unsafe extern "C" fn(Instance)>,
    pub review: Option<unsafe extern "C" fn(Instance, *const Claim<'_>, *const Sink) -> Status>,
    pub get_extension: Option<unsafe extern "C" fn(*const Channel, Text<'_>) -> *const c_void>,
    pub session_opened: Option<unsafe extern "C" fn(Instance, *const Session<'_>, *const Sink) -> Status>,
    pub session_closed: Option<unsafe extern "C" fn(Instance, *const Session<'_>, Text<'_>)>,
    pub receive:
        Option<unsafe extern "C" fn(Instance, *const Session<'_>, *const DeviceMessage<'_>, *const Sink) -> Status>,
    pub deliver:
        Option<unsafe extern "C" fn(Instance, *const Session<'_>, *const AgentMessage<'_>, *const Sink) -> Status>,
    pub tick: Option<unsafe extern "C" fn(Instance, i64, *const Sink) -> Status>,
}

// SAFETY: a table does not change, and its context is for its owner alone; ours is null.
unsafe impl Sync for Channel {}
