//! The safe face of the ABI: what a channel may do with the host, and nothing that unwinds.

// A channel uses what it needs.
#![allow(dead_code)]

use crate::abi::{self, size, Status, Text};
use std::borrow::Cow;
use std::os::raw::c_void;
use std::panic::{self, AssertUnwindSafe};
use std::{mem, str};

/// Why a call ends with something else than `Status::OK`.
pub struct Refusal {
    pub status: Status,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl Refusal {
    pub fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Refusal { status: Status::INVALID, code, message }
    }

    /// The host adds that it is to be tried again later.
    pub fn unavailable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Refusal { status: Status::UNAVAILABLE, code, message }
    }

    fn failed(code: &'static str, message: &'static str) -> Self {
        let message = message.into();
        Refusal { status: Status::FAILED, code, message }
    }
}

/// Text as a `str`. The host promises UTF-8; where it were not, a `str` of it would be undefined behaviour.
pub fn utf8(text: Text<'_>) -> Result<&str, Refusal> {
    str::from_utf8(text.as_bytes()).map_err(|_| Refusal::invalid("not_utf8", "The text is not UTF-8: send UTF-8."))
}

/// Runs what a function of the table does: a refusal goes into the sink, a panic ends here.
///
/// # Safety
/// `sink` is the host's, of the call that this thread is in.
pub unsafe fn guard(sink: *const abi::Sink, call: impl FnOnce(&Sink) -> Result<Status, Refusal>) -> Status {
    let guarded = AssertUnwindSafe(|| {
        let sink = Sink { raw: sink };
        call(&sink).unwrap_or_else(|refusal| {
            sink.reason(&refusal);
            refusal.status
        })
    });
    panic::catch_unwind(guarded).unwrap_or(Status::FAILED)
}

/// Where results go. The pointer in it makes it neither `Send` nor `Sync`: it is for this call and thread.
pub struct Sink {
    raw: *const abi::Sink,
}

impl Sink {
    fn table(&self) -> &abi::Sink {
        // SAFETY: only `guard` makes a sink, from a table that lives until its call ends.
        unsafe { &*self.raw }
    }

    pub fn description(&self, id: &str, name: &str, version: &str) -> Result<(), Refusal> {
        let description = abi::Description {
            size: size::<abi::Description>(),
            flags: 0,
            id: id.into(),
            display_name: name.into(),
            version: version.into(),
        };
        taken(self.table().description.map(|put| unsafe { put(self.raw, &description) }))
    }

    pub fn limits(&self, limits: &abi::Limits) -> Result<(), Refusal> {
        taken(self.table().limits.map(|put| unsafe { put(self.raw, limits) }))
    }

    pub fn detail(&self, label: &str, value: &str) -> Result<(), Refusal> {
        let detail = self.table().detail;
        taken(detail.map(|put| unsafe { put(self.raw, label.into(), value.into()) }))
    }

    /// A message for the agent; `body` is one JSON value.
    pub fn message(&self, body: &str) -> Result<(), Refusal> {
        let message = abi::AgentMessage {
            size: size::<abi::AgentMessage>(),
            flags: 0,
            number: 0,
            id: "".into(),
            agent: "".into(),
            body: body.into(),
            part: 0,
            reserved: 0,
        };
        taken(self.table().message.map(|put| unsafe { put(self.raw, &message) }))
    }

    /// A frame for the device; `payload` is one JSON object.
    pub fn frame(&self, event: &str, payload: &str) -> Result<(), Refusal> {
        let frame = abi::Frame { size: size::<abi::Frame>(), flags: 0, event: event.into(), payload: payload.into() };
        taken(self.table().frame.map(|put| unsafe { put(self.raw, &frame) }))
    }

    fn reason(&self, refusal: &Refusal) {
        let (code, message) = (refusal.code.into(), refusal.message.as_ref().into());
        self.table().reason.map(|put| unsafe { put(self.raw, code, message) });
    }

    /// Takes a ticket, after which the call returns `Status::LATER`.
    pub fn ticket(&self, host: Host) -> Result<Ticket, Refusal> {
        match self.table().later.map_or(0, |take| unsafe { take(self.raw) }) {
            0 => Err(Refusal::unavailable("no_ticket", "The answer cannot be waited for now.")),
            number => Ok(Ticket { host, number }),
        }
    }
}

fn taken(status: Option<Status>) -> Result<(), Refusal> {
    match status {
        Some(Status::OK) => Ok(()),
        _ => Err(Refusal::failed("not_taken", "The host does not take the answer.")),
    }
}

/// The host's functions, for every thread and as long as the process lives.
#[derive(Clone, Copy)]
pub struct Host {
    table: &'static abi::Host,
}

// SAFETY: "Threads: any" holds for every function of it, the table does not change, and we leave its context alone.
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    /// # Safety
    /// `table` is what the host gave to the entry or to `create`: it lives as long as the process.
    pub unsafe fn new(table: *const abi::Host) -> Self {
        Host { table: unsafe { &*table } }
    }

    /// Has the message of a panic in this library logged; standard error is not a channel's.
    ///
    /// A `cdylib` has a standard library of its own, so the hook is no one else's.
    pub fn log_panics(self) {
        panic::set_hook(Box::new(move |panic| {
            self.log(abi::LOG_ERROR, &panic.to_string().replace('\n', " "));
        }));
    }

    pub fn log(self, severity: i32, line: &str) {
        if let Some(log) = self.table.log {
            unsafe { log(self.table, severity, line.into()) }
        }
    }

    /// What the host does not take, it logs; for the device it changes nothing.
    pub fn count(self, name: &str, amount: u64) {
        self.table.count.map(|count| unsafe { count(self.table, name.into(), amount) });
    }

    pub fn gauge(self, name: &str, value: f64) {
        self.table.gauge.map(|gauge| unsafe { gauge(self.table, name.into(), value) });
    }
}

/// An answer that is owed. Whoever loses it has answered `Status::FAILED`, so none stays open.
pub struct Ticket {
    host: Host,
    number: u64,
}

impl Ticket {
    /// Answers from any thread; `write` runs at once, here, or not at all where the answer comes too late.
    pub fn answer(self, write: impl FnOnce(&Sink) -> Result<Status, Refusal>) {
        self.bring(write);
        mem::forget(self);
    }

    fn bring<F: FnOnce(&Sink) -> Result<Status, Refusal>>(&self, write: F) {
        unsafe extern "C" fn writer<F>(user: *mut c_void, sink: *const abi::Sink) -> Status
        where
            F: FnOnce(&Sink) -> Result<Status, Refusal>,
        {
            unsafe {
                guard(sink, |sink| match (*user.cast::<Option<F>>()).take() {
                    Some(write) => write(sink),
                    None => Ok(Status::FAILED),
                })
            }
        }
        let mut write = Some(write);
        let user: *mut Option<F> = &mut write;
        let host = self.host.table;
        host.answer.map(|answer| unsafe { answer(host, self.number, writer::<F>, user.cast()) });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.bring(|_| Ok(Status::FAILED));
    }
}
