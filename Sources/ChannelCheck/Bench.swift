import CGoClawChannel
import Glibc

/// Why a check has nothing to check.
struct Inapplicable: Error {
    var reason: String
}

/// A call did not come back from the plugin's own threads; more of the same would take too long.
struct GaveUp: Error {}

/// Where the checks are made, in the child process: the library, the hosts, and what is found.
final class Bench {
    let plan: CheckPlan
    let line: CheckLine
    var findings = Findings()
    let beacon: Beacon
    private(set) lazy var caller = Caller(.guarded, beacon)
    /// How the process was before the library was loaded.
    let before = ProcessState()
    private var loaded: Library?
    /// The rules that were reported broken, by any check and by this one.
    private var reported: Set<String> = []
    private var reportedHere: Set<String> = []
    /// How many findings the parent knows of.
    private var toldFindings = 0
    private var firstTable: (TestHost, PluginTable)?
    private var ordinaryClaim: TestClaim??
    private var ordinaryMessage: TestMessage??
    /// Who the library says it is, where it could be asked.
    private var askedIdentity: CheckedIdentity??

    init(plan: CheckPlan, line: CheckLine) {
        self.plan = plan
        self.line = line
        beacon = Beacon(line)
    }

    /// Begins a check with nothing found.
    func begin() {
        findings = Findings()
        toldFindings = 0
        reportedHere = []
    }

    /// Says what is about to happen, for the case that it is the last thing that happens; and that the
    /// process is alive.
    func calling(_ what: String) {
        if findings.count != toldFindings {
            toldFindings = findings.count
            line.send(CheckMessage(soFar: findings))
        }
        beacon.send(what)
    }

    // What is checked.

    func library() throws -> Library {
        if let loaded { return loaded }
        calling("the loading of the library")
        let library = try Library(path: plan.subject.library)
        loaded = library
        return library
    }

    /// The table for a host of its own.
    func table(for host: TestHost) throws -> PluginTable {
        let library = try library()
        calling("goclaw_channel_entry")
        return try library.table(for: host)
    }

    /// The first host, and the table that was given for it.
    func plugin() throws -> (host: TestHost, table: PluginTable) {
        if let firstTable { return firstTable }
        let host = TestHost()
        let table = try table(for: host)
        firstTable = (host, table)
        return (host, table)
    }

    /// Who the library says it is.
    func identity() throws -> CheckedIdentity? {
        if let askedIdentity { return askedIdentity }
        let (host, table) = try plugin()
        let reply = describe(table, host: host)
        askedIdentity = .some(reply.output.identity)
        return reply.output.identity
    }

    func describe(_ table: PluginTable, host: TestHost) -> Reply {
        let sink = TestSink()
        sink.begin(.describe, host: host, hasTicket: false)
        calling("describe")
        let status = table.functions.describe(table.pointer, sink.table)
        var output = sink.end()
        output.identity?.abi = table.abi
        return Reply(status: status, output: output)
    }

    /// Creates an instance with the configuration to be checked.
    func create(
        on host: TestHost? = nil, isNewer: Bool = false, _ caller: Caller? = nil
    ) throws -> Instance {
        let plugin = try host.map { ($0, try table(for: $0)) } ?? plugin()
        calling("create with the configuration \(short(plan.subject.configuration))")
        let (instance, reply) = Instance.create(
            plugin.1, host: plugin.0, configuration: plan.subject.configuration,
            ticketLimit: plan.ticketLimit, caller: caller ?? self.caller, isNewer: isNewer)
        guard let instance else {
            throw Inapplicable(reason: "create refuses the configuration: \(text(of: reply))")
        }
        return instance
    }

    /// Creates an instance for the body and destroys it.
    func withInstance(_ body: (Instance) throws -> Void) throws {
        let instance = try create()
        defer { destroy(instance) }
        try body(instance)
    }

    func destroy(_ instance: Instance) {
        drain(instance.host, "in the calls before destroy")
        calling("destroy")
        instance.destroy()
        drain(instance.host, "in destroy")
    }

    // What an ordinary device does.

    /// A claim that passes the review.
    func ordinary(_ instance: Instance) throws -> TestClaim {
        if let ordinaryClaim {
            guard let ordinaryClaim else { throw Inapplicable(reason: Self.noClaim) }
            return ordinaryClaim
        }
        for claim in Samples.ordinary(plan.subject, id: try identity()?.id) {
            calling("review of \(claim.what)")
            let reply = instance.review(claim, caller)
            if reply.status == Reply.unanswered {
                try judge(reply, "review of \(claim.what)", host: instance.host)
            }
            guard reply.status == goclaw_status(GOCLAW_OK) else { continue }
            ordinaryClaim = .some(claim)
            _ = instance.host.takeFindings()
            return claim
        }
        ordinaryClaim = .some(nil)
        throw Inapplicable(reason: Self.noClaim)
    }

    static let noClaim =
        "No request of an ordinary device passes review. Say who may pair, with --sender and --metadata, and check again."

    /// Opens a session of an ordinary device for the body, and closes it.
    func withSession(_ instance: Instance, _ body: (TestSession) throws -> Void) throws {
        let session = TestSession(try ordinary(instance))
        calling("session_opened for \(session.claim.what)")
        let reply = instance.open(session, caller)
        guard reply.status == goclaw_status(GOCLAW_OK) else {
            throw Inapplicable(reason: "session_opened refuses an ordinary device: \(text(of: reply))")
        }
        defer {
            calling("session_closed")
            instance.close(session, reason: "bye", caller)
        }
        try body(session)
    }

    /// The same, where an ordinary device is known and accepted.
    func ifSession(_ instance: Instance, _ body: (TestSession) throws -> Void) throws {
        _ = try ifApplicable { try withSession(instance, body) }
    }

    /// A message that `receive` takes.
    func ordinaryMessage(_ instance: Instance, in session: TestSession) throws -> TestMessage {
        if let ordinaryMessage {
            guard let ordinaryMessage else { throw Inapplicable(reason: Self.noMessage) }
            return ordinaryMessage
        }
        for message in Samples.ordinaryMessages(plan.subject) {
            calling("receive of \(message.what)")
            let reply = instance.receive(message, in: session, caller)
            if reply.status == Reply.unanswered {
                try judge(reply, "receive of \(message.what)", host: instance.host)
            }
            guard reply.status == goclaw_status(GOCLAW_OK) else { continue }
            ordinaryMessage = .some(message)
            _ = instance.host.takeFindings()
            return message
        }
        ordinaryMessage = .some(nil)
        throw Inapplicable(reason: Self.noMessage)
    }

    static let noMessage =
        "receive takes none of the ordinary messages: give one that it takes with --message."

    // What was seen.

    /// Takes what the host noticed into the findings.
    func drain(_ host: TestHost, _ context: String) {
        let (rules, warnings) = host.takeFindings()
        // What an earlier check has reported is not this one's.
        for rule in rules where reported.insert(rule).inserted || reportedHere.contains(rule) {
            reportedHere.insert(rule)
            findings.fail(rule, context)
        }
        for warning in warnings where reported.insert(warning).inserted { findings.warn(warning) }
    }

    /// Judges how a call ended.
    ///
    /// - Parameter mayFail: whether GOCLAW_FAILED is an answer, to arguments that no host would pass.
    func judge(_ reply: Reply, _ context: String, host: TestHost, mayFail: Bool = false) throws {
        drain(host, "in \(context)")
        switch Int(reply.status) {
        case GOCLAW_OK: break
        case GOCLAW_INVALID, GOCLAW_FORBIDDEN, GOCLAW_UNAVAILABLE:
            guard let reason = reply.output.reason else {
                findings.fail(
                    "It refused without a reason, with \(statusName(reply.status)).", "in \(context)")
                return
            }
            if reason.message.unicodeScalars.count > 512 {
                findings.warn(
                    "A reason has more than 512 characters, and is cut, in \(context): quote no more than the "
                        + "beginning of what a device sent.")
            }
        case GOCLAW_LATER:
            findings.fail("It returned GOCLAW_LATER without a ticket.", "in \(context)")
        case GOCLAW_FAILED:
            if !mayFail {
                findings.fail("It returned GOCLAW_FAILED, which is for faults of its own.", "in \(context)")
            }
        case GOCLAW_EXHAUSTED, GOCLAW_GONE, GOCLAW_MISPLACED:
            findings.fail(
                "It returned \(statusName(reply.status)), a status of the host's: was a sink's answer handed "
                    + "on?", "in \(context)")
        case Int(Reply.unanswered):
            findings.fail(
                "It did not answer its ticket within \(plan.ticketLimit) ms.", "of \(context)")
            throw GaveUp()
        default:
            findings.fail("It returned the unknown status \(reply.status).", "in \(context)")
        }
    }

    /// What a body makes, or `nil` where there is nothing to check with.
    func ifApplicable<Value>(_ body: () throws -> Value) throws -> Value? {
        do { return try body() } catch is Inapplicable { return nil }
    }

    func text(of reply: Reply) -> String {
        let status = statusName(reply.status)
        return reply.output.reason.map { "\(status), \($0.code): \($0.message)" }
            ?? "\(status), without a reason."
    }
}

/// A status by its name in the header.
func statusName(_ status: Int32) -> String {
    let names = [
        "GOCLAW_OK", "GOCLAW_INVALID", "GOCLAW_FORBIDDEN", "GOCLAW_UNAVAILABLE", "GOCLAW_LATER",
        "GOCLAW_FAILED", "GOCLAW_EXHAUSTED", "GOCLAW_GONE", "GOCLAW_MISPLACED",
    ]
    if status == Reply.unanswered { return "no answer to its ticket" }
    return names.indices.contains(Int(status)) ? names[Int(status)] : "status \(status)"
}

/// A text cut to what fits into a sentence.
func short(_ text: String) -> String {
    text.utf8.count <= 80 ? text : "\(text.prefix(60))… (\(text.utf8.count) bytes)"
}

extension String {
    var droppingStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
