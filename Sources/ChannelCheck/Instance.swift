import CGoClawChannel
import Glibc
import Synchronization

/// A device's request to pair, as the checks make them up.
struct TestClaim: Codable, Sendable {
    /// What is special about it, in a few words.
    var what: String
    var senderID: String
    var displayName = "A device"
    var metadata = ""
    var hasKey = true
    /// Whether no host would pass this, so that it must only not do harm.
    var isBeyondContract = false
}

/// A message of a device or of an agent.
struct TestMessage: Sendable {
    /// What is special about it, in a few words.
    var what: String
    var body: String
    var number: Int64 = 1
    var id = "m-1"
    var agent = "echo"
    var flags: UInt32 = 0
    var part: UInt32 = 0
    var isBeyondContract = false
}

/// One instance of the plugin, called as a host calls it.
///
/// `@unchecked Sendable`: what `pointer` points to is the plugin's, which promises to take its calls on the
/// threads the header says.
final class Instance: @unchecked Sendable {
    let table: PluginTable
    let host: TestHost
    let limits: PluginLimits?
    private let pointer: UnsafeMutableRawPointer?
    /// How long an answer to a ticket may take, in milliseconds.
    private let ticketLimit: Int
    /// Whether records, sinks and tables have the form of a newer host's.
    private let isNewer: Bool

    /// Creates an instance.
    ///
    /// - Returns: the instance, where there is one, and the call's reply.
    static func create(
        _ table: PluginTable, host: TestHost, configuration: String, ticketLimit: Int, caller: Caller,
        isNewer: Bool = false
    ) -> (Instance?, Reply) {
        caller.beacon.pulse()
        let sink = caller.sink(isNewer: isNewer)
        sink.begin(.create, host: host, hasTicket: false)
        var pointer: UnsafeMutableRawPointer?
        let status = table.functions.create(
            table.pointer, host.table, caller.lender.text(configuration), sink.table, &pointer)
        caller.lender.takeBack()
        let reply = Reply(status: status, output: sink.end())
        guard status == goclaw_status(GOCLAW_OK) else { return (nil, reply) }
        return (
            Instance(
                table: table, host: host, limits: reply.output.limits, pointer: pointer,
                ticketLimit: ticketLimit,
                isNewer: isNewer), reply
        )
    }

    private init(
        table: PluginTable, host: TestHost, limits: PluginLimits?, pointer: UnsafeMutableRawPointer?,
        ticketLimit: Int, isNewer: Bool
    ) {
        self.table = table
        self.host = host
        self.limits = limits
        self.pointer = pointer
        self.ticketLimit = ticketLimit
        self.isNewer = isNewer
    }

    /// Whether the host refuses a device with a bare token by itself.
    var requiresKey: Bool { (limits?.flags ?? 0) & UInt32(GOCLAW_LIMITS_KEY_REQUIRED) != 0 }

    func destroy() { table.functions.destroy(pointer) }

    func review(_ claim: TestClaim, _ caller: Caller) -> Reply {
        call(.review, caller) { lender, sink in
            let record = lender.record(
                goclaw_claim(
                    size: 0, credential: credential(claim.hasKey), sender_id: lender.text(claim.senderID),
                    display_name: lender.text(claim.displayName), metadata: lender.text(claim.metadata)))
            return caller.time { table.functions.review(pointer, record, sink) }
        }
    }

    func open(_ session: TestSession, _ caller: Caller) -> Reply {
        host.add(session: session.id)
        let reply = call(.sessionOpened, caller) { lender, sink in
            session.lend(lender) { session in
                caller.time { table.functions.session_opened?(pointer, session, sink) ?? 0 }
            }
        }
        if reply.status != goclaw_status(GOCLAW_OK) { host.remove(session: session.id) }
        return reply
    }

    func close(_ session: TestSession, reason: String, _ caller: Caller) {
        session.lend(caller.lender) { session in
            let reason = caller.lender.text(reason)
            caller.time { table.functions.session_closed?(pointer, session, reason) }
        }
        caller.lender.takeBack()
        host.remove(session: session.id)
    }

    func receive(_ message: TestMessage, in session: TestSession, _ caller: Caller) -> Reply {
        call(.receive, caller) { lender, sink in
            let record = lender.record(
                goclaw_device_message(
                    size: 0, flags: 0, number: message.number, received_ms: 1_767_225_600_000,
                    id: lender.text(message.id), body: lender.text(message.body)))
            return session.lend(lender) { session in
                caller.time { table.functions.receive?(pointer, session, record, sink) ?? 0 }
            }
        }
    }

    func deliver(_ message: TestMessage, in session: TestSession, _ caller: Caller) -> Reply {
        call(.deliver, caller) { lender, sink in
            let record = lender.record(
                goclaw_agent_message(
                    size: 0, flags: message.flags, number: message.number, id: lender.text(message.id),
                    agent: lender.text(message.agent), body: lender.text(message.body), part: message.part,
                    reserved: 0))
            return session.lend(lender) { session in
                caller.time { table.functions.deliver?(pointer, session, record, sink) ?? 0 }
            }
        }
    }

    func tick(_ caller: Caller) -> Reply {
        call(.tick, caller) { _, sink in
            caller.time { table.functions.tick?(pointer, 1_767_225_600_000, sink) ?? 0 }
        }
    }

    /// Makes a call; where it answers later, waits for that.
    private func call(
        _ call: Call, _ caller: Caller, _ body: (Lender, UnsafePointer<goclaw_sink>) -> goclaw_status
    ) -> Reply {
        caller.beacon.pulse()
        let sink = caller.sink(isNewer: isNewer)
        sink.begin(call, host: host, hasTicket: true)
        let status = body(caller.lender, sink.table)
        let output = sink.end()
        caller.lender.takeBack()
        guard status == goclaw_status(GOCLAW_LATER), let ticket = output.ticket else {
            return Reply(status: status, output: output)
        }
        guard !caller.voidsTickets else {
            host.tickets.void(ticket)
            return Reply(status: status, output: output)
        }
        guard let later = host.tickets.wait(for: ticket, atMost: ticketLimit, beacon: caller.beacon) else {
            return Reply(status: Reply.unanswered, output: output)
        }
        var whole = output
        whole.append(later.output)
        return Reply(status: later.status, output: whole)
    }
}

extension Reply {
    /// Stands for a ticket that nobody answered.
    static let unanswered: Int32 = -1
}

/// A thread from which the plugin is called.
final class Caller {
    let lender: Lender
    /// Whether the host gives up on tickets at once.
    var voidsTickets = false
    let beacon: Beacon
    private let reused: TestSink?
    /// How long the plugin took for the last call, in nanoseconds.
    private(set) var lastDuration: UInt64 = 0

    /// - Parameter beacon: told of every call, so that slow calls are not taken for one that hangs.
    init(_ style: LendingStyle, _ beacon: Beacon) {
        self.beacon = beacon
        lender = Lender(style)
        reused = style == .plain ? TestSink() : nil
    }

    /// Measures how long the plugin takes.
    func time<Result>(_ body: () -> Result) -> Result {
        let start = monotonicNanoseconds()
        defer { lastDuration = monotonicNanoseconds() - start }
        return body()
    }

    /// A sink of its own for each call, so that one used later is found out; one for all where time counts.
    func sink(isNewer: Bool) -> TestSink { reused ?? TestSink(isNewer: isNewer) }
}

/// One live connection.
///
/// `@unchecked Sendable`: calls for one session come one after the other; whoever makes them owns it.
final class TestSession: @unchecked Sendable {
    private static let lastID = Atomic<UInt64>(0)

    let id: UInt64
    let claim: TestClaim
    /// What the plugin keeps for the session.
    private(set) var slot: UnsafeMutableRawPointer?

    init(_ claim: TestClaim) {
        id = Self.lastID.add(1, ordering: .relaxed).newValue
        self.claim = claim
    }

    /// Lends the session for one call; its slot is at another place each time.
    func lend<Result>(_ lender: Lender, _ body: (UnsafePointer<goclaw_session>) -> Result) -> Result {
        let place = lender.slot(slot)
        let record = lender.record(
            goclaw_session(
                size: 0, credential: credential(claim.hasKey), id: id, slot: place,
                sender_id: lender.text(claim.senderID), metadata: lender.text(claim.metadata),
                opened_ms: 1_767_225_600_000))
        defer { slot = place.pointee }
        return body(record)
    }
}

private func credential(_ hasKey: Bool) -> UInt32 {
    UInt32(hasKey ? GOCLAW_CREDENTIAL_KEY : GOCLAW_CREDENTIAL_TOKEN)
}
