import CGoClawChannel
import Synchronization
import Testing

@testable import ChannelKit

/// A channel that shows what reaches it.
private struct Mirror: Channel {
    struct Configuration: Decodable { var greeting: String }
    struct Facts: Decodable { var count: Int }

    static let identity = Identity(id: "mirror", displayName: "Mirror", version: "2.0.0")

    private let greeting: String
    private let host: Host

    init(configuration: Configuration, host: Host) throws(ConfigurationError) {
        guard !configuration.greeting.isEmpty else { throw ConfigurationError("greeting is empty.") }
        greeting = configuration.greeting
        self.host = host
    }

    var limits: Limits {
        var limits = Limits()
        limits.requiresKey = true
        limits.silence = .milliseconds(1500)
        return limits
    }

    func review(_ claim: Claim) throws(Refusal) -> Answer<Detail> {
        if claim.senderID == "later" { return .later { $0.answer([Detail("Later", claim.senderID)]) } }
        let count = try claim.metadata.decode(Facts.self).count
        return [Detail(greeting, "\(claim.senderID) \(claim.credential) \(count)")]
    }

    func opened(_ session: Session) throws(Refusal) -> Int {
        guard session.senderID != "unwelcome" else { throw .forbidden("unwelcome", "Go away.") }
        return 100
    }

    func closed(_ session: Session, state: Int, reason: String) {
        host.log(.info, "closed \(session.senderID) at \(state): \(reason)")
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Int
    ) throws(Refusal) -> Answer<Output> {
        state += 1
        return [.message(AgentMessage(body: JSON(text: "\(state)")))]
    }
}

/// The host's side, as small as it can be: what the channel does is in `log`.
///
/// Its tables are never freed, as the interface demands.
private final class FakeHost: Sendable {
    let log = Mutex<[String]>([])
    let table: UInt
    let sink: UInt

    init(hostSize: Int = MemoryLayout<goclaw_host>.size, major: UInt16 = 1) {
        let host = UnsafeMutablePointer<goclaw_host>.allocate(capacity: 1)
        let sink = UnsafeMutablePointer<goclaw_sink>.allocate(capacity: 1)
        table = UInt(bitPattern: host)
        self.sink = UInt(bitPattern: sink)
        let context = Unmanaged.passRetained(self).toOpaque()
        var hostTable = goclaw_host()
        hostTable.size = UInt32(hostSize)
        hostTable.abi_major = major
        hostTable.context = context
        hostTable.log = { table, severity, line in
            note(table?.pointee.context, "log \(severity) \(String(line) ?? "?")")
        }
        hostTable.answer = { table, ticket, write, user in
            guard let context = table?.pointee.context else { return 7 }
            let host = Unmanaged<FakeHost>.fromOpaque(context).takeUnretainedValue()
            note(context, "answer \(ticket) \(write?(user, UnsafePointer(bitPattern: host.sink)) ?? -1)")
            return 0
        }
        host.initialize(to: hostTable)
        var sinkTable = goclaw_sink()
        sinkTable.size = UInt32(MemoryLayout<goclaw_sink>.size)
        sinkTable.context = context
        sinkTable.description = { sink, record in
            guard let record else { return 1 }
            note(sink?.pointee.context, "is \(String(record.pointee.id) ?? "?")")
            return 0
        }
        sinkTable.limits = { sink, record in
            guard let record else { return 1 }
            note(sink?.pointee.context, "limits \(record.pointee.flags) \(record.pointee.silence_ms)")
            return 0
        }
        sinkTable.detail = { sink, label, value in
            note(sink?.pointee.context, "\(String(label) ?? "?"): \(String(value) ?? "?")")
            return 0
        }
        sinkTable.message = { sink, record in
            guard let record else { return 1 }
            note(sink?.pointee.context, "message \(String(record.pointee.body) ?? "?")")
            return 0
        }
        sinkTable.reason = { sink, code, message in
            note(sink?.pointee.context, "\(String(code) ?? "?"): \(String(message) ?? "?")")
            return 0
        }
        sinkTable.later = { _ in 42 }
        sink.initialize(to: sinkTable)
    }

    var lines: [String] { log.withLock { $0 } }
    var hostTable: HostTable? { HostTable(bitPattern: table) }
    var sinkTable: UnsafePointer<goclaw_sink>? { UnsafePointer(bitPattern: sink) }
}

private func note(_ context: UnsafeMutableRawPointer?, _ line: String) {
    guard let context else { return }
    Unmanaged<FakeHost>.fromOpaque(context).takeUnretainedValue().log.withLock { $0.append(line) }
}

@Suite("A Swift channel behind the C interface")
struct EntryTests {
    private let host = FakeHost()

    /// Makes an instance.
    private func make(_ configuration: String = #"{"greeting": "Hello"}"#) throws -> (
        table: goclaw_channel, instance: UnsafeMutableRawPointer
    ) {
        let table = try #require(Mirror.table(for: host.hostTable))
        var instance: UnsafeMutableRawPointer?
        let status = withText(configuration) {
            table.pointee.create(table, host.hostTable, $0, host.sinkTable, &instance)
        }
        try #require(status == 0)
        return (table.pointee, try #require(instance))
    }

    private func review(_ senderID: String, metadata: String, size: Int? = nil) throws -> goclaw_status {
        let (table, instance) = try make()
        defer { table.destroy(instance) }
        return withTexts(senderID, metadata) { senderID, metadata in
            var record = goclaw_claim(
                size: UInt32(size ?? MemoryLayout<goclaw_claim>.size), credential: 1, sender_id: senderID,
                display_name: goclaw_text(), metadata: metadata)
            return table.review(instance, &record, host.sinkTable)
        }
    }

    @Test("It describes itself, takes its configuration and states its limits")
    func start() throws {
        let table = try #require(Mirror.table(for: host.hostTable))
        #expect(table.pointee.describe(table, host.sinkTable) == 0)
        _ = try make()
        #expect(host.lines == ["is mirror", "limits 1 1500"])
    }

    @Test(
        "A configuration that cannot be decoded, or that it refuses, is refused with the reason",
        arguments: [
            (#"{"greeting": 5}"#, "The configuration's greeting has another type than a string."),
            ("{}", "The configuration's greeting is missing."),
            (#"{"greeting": ""}"#, "greeting is empty."),
            ("nonsense", "The configuration is not JSON of the expected form."),
        ])
    func configuration(text: String, reason: String) throws {
        let table = try #require(Mirror.table(for: host.hostTable))
        var instance: UnsafeMutableRawPointer?
        let status = withText(text) {
            table.pointee.create(table, host.hostTable, $0, host.sinkTable, &instance)
        }
        #expect(status == Status.invalid.rawValue)
        #expect(instance == nil)
        #expect(host.lines == ["invalid_configuration: \(reason)"])
    }

    @Test("A review's details and refusals go into the sink")
    func review() throws {
        #expect(try review("fox", metadata: #"{"count": 3}"#) == 0)
        #expect(try review("fox", metadata: #"{"count": "x"}"#) == Status.invalid.rawValue)
        #expect(host.lines.contains("Hello: fox key 3"))
        #expect(
            host.lines.last == "invalid_metadata: The metadata's count has another type than a whole number.")
    }

    @Test("An answer that comes later goes through the ticket")
    func later() throws {
        #expect(try review("later", metadata: "") == Status.later.rawValue)
        #expect(host.lines.suffix(2) == ["Later: later", "answer 42 0"])
    }

    @Test("A session's state lives in its slot from its opening to its closing")
    func session() throws {
        let (table, instance) = try make()
        defer { table.destroy(instance) }
        var slot: UnsafeMutableRawPointer?
        withText("fox") { senderID in
            withUnsafeMutablePointer(to: &slot) { slot in
                var session = goclaw_session(
                    size: UInt32(MemoryLayout<goclaw_session>.size), credential: 0, id: 7, slot: slot,
                    sender_id: senderID, metadata: goclaw_text(), opened_ms: 0)
                var message = goclaw_device_message()
                message.size = UInt32(MemoryLayout<goclaw_device_message>.size)
                #expect(table.session_opened(instance, &session, host.sinkTable) == 0)
                #expect(slot.pointee != nil)
                #expect(table.receive(instance, &session, &message, host.sinkTable) == 0)
                #expect(table.receive(instance, &session, &message, host.sinkTable) == 0)
                withText("done") { table.session_closed(instance, &session, $0) }
                #expect(slot.pointee == nil)
                // After its end, and again: a host that does this is told, and no memory is touched.
                #expect(table.receive(instance, &session, &message, host.sinkTable) == 5)
                withText("done") { table.session_closed(instance, &session, $0) }
            }
        }
        #expect(
            host.lines.dropFirst() == [
                "message 101", "message 102", "log 1 closed fox at 102: done",
                "log 5 a call had arguments that break the interface's rules",
            ])
    }

    @Test("Whatever the host passes that it must not, nothing traps")
    func brokenHost() throws {
        #expect(Mirror.table(for: nil) == nil)
        #expect(Mirror.table(for: FakeHost(hostSize: 24).hostTable) == nil)
        #expect(Mirror.table(for: FakeHost(major: 2).hostTable) == nil)
        let (table, instance) = try make()
        let failed = Status.failed.rawValue
        #expect(table.describe(nil, host.sinkTable) == failed)
        #expect(table.describe(nil, nil) == failed)
        #expect(table.create(nil, host.hostTable, goclaw_text(), host.sinkTable, nil) == failed)
        #expect(table.review(nil, nil, nil) == failed)
        #expect(table.review(instance, nil, host.sinkTable) == failed)
        #expect(table.session_opened(instance, nil, host.sinkTable) == failed)
        #expect(table.receive(instance, nil, nil, host.sinkTable) == failed)
        #expect(table.deliver(instance, nil, nil, host.sinkTable) == failed)
        #expect(table.tick(nil, 0, host.sinkTable) == failed)
        table.session_closed(nil, nil, goclaw_text())
        var session = goclaw_session()
        session.size = UInt32(MemoryLayout<goclaw_session>.size)
        #expect(table.session_opened(instance, &session, host.sinkTable) == failed)
        var claim = goclaw_claim()
        claim.size = UInt32(MemoryLayout<goclaw_claim>.size)
        claim.sender_id = goclaw_text(ptr: nil, len: 9)
        #expect(table.review(instance, &claim, host.sinkTable) == failed)
        table.destroy(instance)
        table.destroy(nil)
    }

    @Test("Of a record of an older host only what it has is read")
    func shortRecord() throws {
        // The metadata is beyond the stated size: there is none, so its count is missing.
        #expect(try review("fox", metadata: #"{"count": 3}"#, size: 40) == Status.invalid.rawValue)
        #expect(host.lines.last == "invalid_metadata: The metadata's count is missing.")
    }
}
