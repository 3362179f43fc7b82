//! The rules of the channel `gauge`, without a pointer.

#![forbid(unsafe_code)]

use crate::abi::{self, size, AgentMessage, Claim, DeviceMessage, Session, Status, Text};
use crate::host::{utf8, Host, Refusal, Sink, Ticket};
use crate::json::member;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The message that takes long.
const SLOW: &str = r#""slow""#;

/// The instance. `review` and the calls of different sessions share it in parallel: it has to be `Sync`.
pub struct Gauge {
    host: Host,
    queue: SyncSender<Measurement>,
    worker: JoinHandle<()>,
}

/// What the slot of a session holds. Calls of one session come one after the other, so it needs no lock; but a
/// thread that answers a ticket keeps off it: its time may be up, and the session's next call running.
#[derive(Default)]
pub struct Tally {
    accepted: u64,
}

/// A message whose answer takes long.
struct Measurement {
    ticket: Ticket,
    number: i64,
}

impl Gauge {
    pub fn new(host: Host, configuration: Text, sink: &Sink) -> Result<Self, Refusal> {
        if utf8(configuration)?.trim() != "{}" {
            return Err(Refusal::invalid(
                "not_configurable",
                "The channel gauge has nothing to configure; remove it from channels.config.",
            ));
        }
        sink.limits(&abi::Limits {
            size: size::<abi::Limits>(),
            max_message_bytes: 1024,
            burst: 20,
            messages_per_second: 10.0,
            pairing_lifetime_ms: 10 * 60 * 1000,
            ..abi::Limits::default()
        })?;
        // Bounded, like everything that devices fill.
        let (queue, measurements) = mpsc::sync_channel(16);
        let worker = thread::Builder::new()
            .name("gauge".into())
            .spawn(|| measure(measurements))
            .map_err(|error| Refusal::unavailable("no_thread", format!("gauge cannot start its thread: {error}.")))?;
        Ok(Gauge { host, queue, worker })
    }

    /// Leaves no thread behind.
    pub fn end(self) {
        drop(self.queue);
        let _ = self.worker.join();
    }

    pub fn review(&self, claim: &Claim, sink: &Sink) -> Result<Status, Refusal> {
        let number = utf8(claim.sender_id)?
            .strip_prefix("gauge-")
            .and_then(|number| number.parse::<u32>().ok())
            .ok_or_else(|| {
                Refusal::invalid(
                    "invalid_sender_id",
                    "The senderId of a gauge is gauge- and its number, such as gauge-1.",
                )
            })?;
        let has_key = claim.credential == abi::CREDENTIAL_KEY;
        sink.detail("Number", &number.to_string())?;
        sink.detail("Credential", if has_key { "key" } else { "token" })?;
        if let Some(model) = member(utf8(claim.metadata)?, "model") {
            sink.detail("Model", model)?;
        }
        Ok(Status::OK)
    }

    pub fn receive(&self, tally: &mut Tally, message: &DeviceMessage, sink: &Sink) -> Result<Status, Refusal> {
        // The body is one JSON value, so its first character says of which kind.
        let body = utf8(message.body)?.trim();
        let status = match body.as_bytes().first() {
            Some(b'"') if body == SLOW => self.answer_later(message.number, sink)?,
            Some(b'"') => accept("note", body, message.number, sink)?,
            Some(b'-' | b'0'..=b'9') => self.read(body, message.number, sink)?,
            _ => {
                return Err(Refusal::invalid(
                    "invalid_message",
                    "The message is no reading: send a number, or a string as a note.",
                ))
            }
        };
        tally.accepted += 1;
        self.host.count("messages_accepted", 1);
        Ok(status)
    }

    fn read(&self, body: &str, number: i64, sink: &Sink) -> Result<Status, Refusal> {
        let value = body.parse::<f64>().ok().filter(|value| value.is_finite());
        let value = value.ok_or_else(|| {
            Refusal::invalid("invalid_reading", "The reading does not fit into a double: send one up to 1.7e308.")
        })?;
        self.host.gauge("last_reading", value);
        accept("reading", body, number, sink)
    }

    /// Leaves the answer to the worker.
    fn answer_later(&self, number: i64, sink: &Sink) -> Result<Status, Refusal> {
        let ticket = sink.ticket(self.host)?;
        if let Err(error) = self.queue.try_send(Measurement { ticket, number }) {
            let (mpsc::TrySendError::Full(late) | mpsc::TrySendError::Disconnected(late)) = error;
            // A ticket may be answered before the call that took it has returned.
            late.ticket.answer(|_| Err(Refusal::unavailable("busy", "Too many are being measured already.")));
        }
        Ok(Status::LATER)
    }

    /// The body of an agent's message is JSON, so it fits in as it is.
    pub fn deliver(&self, message: &AgentMessage, sink: &Sink) -> Result<Status, Refusal> {
        let (number, body) = (message.number, utf8(message.body)?);
        // By messageSeq the device acknowledges what it showed: of a message in parts, the last.
        let part = if message.flags & abi::MESSAGE_PART != 0 {
            format!(r#","part":{},"last":{}"#, message.part, message.flags & abi::MESSAGE_LAST != 0)
        } else {
            String::new()
        };
        sink.frame("show", &format!(r#"{{"messageSeq":{number},"show":{body}{part}}}"#))?;
        Ok(Status::OK)
    }

    pub fn session_closed(&self, session: &Session, tally: Tally) {
        let (id, accepted) = (session.id, tally.accepted);
        let line = format!("session {id} ended after {accepted} messages");
        self.host.log(abi::LOG_DEBUG, &line);
    }
}

/// One message for the agent and one frame for the device. A message that comes again gets the same again.
fn accept(kind: &str, body: &str, number: i64, sink: &Sink) -> Result<Status, Refusal> {
    sink.message(&format!(r#"{{"{kind}":{body}}}"#))?;
    sink.frame("taken", &format!(r#"{{"number":{number}}}"#))?;
    Ok(Status::OK)
}

/// Answers tickets, one after the other, until the instance ends.
fn measure(measurements: Receiver<Measurement>) {
    for Measurement { ticket, number } in measurements {
        thread::sleep(Duration::from_millis(20));
        ticket.answer(|sink| accept("note", SLOW, number, sink));
    }
}
