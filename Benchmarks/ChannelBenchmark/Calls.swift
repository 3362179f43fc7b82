import CGoClawChannel
import ChannelKit
import Synchronization

/// A channel that passes messages on; one with the number 1 it decodes first, as channels do.
private struct Measured: Channel {
    struct Text: Decodable { var text: String }

    static let identity = Identity(id: "measured", displayName: "Measured", version: "1.0.0")
    /// The instance that the table made, to be called directly as well.
    static let made = Mutex<Measured?>(nil)

    init(configuration: NoConfiguration, host: Host) throws(ConfigurationError) {
        Self.made.withLock { $0 = self }
    }

    func receive(
        _ message: DeviceMessage, in session: Session, state: inout Void
    ) throws(Refusal) -> Answer<Output> {
        if message.number == 1, try message.body.decode(Text.self).text.isEmpty {
            throw .invalid("empty", "No text.")
        }
        return [.message(AgentMessage(body: message.body))]
    }
}

/// A message of 200 bytes.
let twoHundredBytes = #"{"text":""# + String(repeating: "x", count: 189) + #""}"#

/// The bytes that the sink's functions copied: what a host keeps of an answer.
private let copied = Mutex<[UInt8]>([])

/// Compares `receive` of a 200-byte message through the ABI and ChannelKit with the same call in Swift.
func measureCalls() {
    var host = goclaw_host()
    host.size = UInt32(MemoryLayout<goclaw_host>.size)
    host.abi_major = UInt16(GOCLAW_ABI_MAJOR)
    host.log = { _, _, _ in }
    host.clock_ms = { _ in 0 }
    host.monotonic_ns = { _ in 0 }
    host.get_extension = { _, _ in nil }
    host.count = { _, _, _ in 0 }
    host.gauge = { _, _, _ in 0 }
    host.close_session = { _, _, _ in 0 }
    host.answer = { _, _, _, _ in 0 }
    var sink = goclaw_sink()
    sink.size = UInt32(MemoryLayout<goclaw_sink>.size)
    sink.abi_major = UInt16(GOCLAW_ABI_MAJOR)
    sink.description = { _, _ in 0 }
    sink.limits = { _, _ in 0 }
    sink.detail = { _, _, _ in 0 }
    sink.frame = { _, _ in 0 }
    sink.reason = { _, _, _ in 0 }
    sink.later = { _ in 0 }
    sink.message = { _, message in
        if let body = message?.pointee.body, let start = body.ptr {
            copied.withLock { $0 = Array(UnsafeRawBufferPointer(start: start, count: body.len)) }
        }
        return 0
    }
    // Tables live as long as the process.
    let hostTable = UnsafeMutablePointer<goclaw_host>.allocate(capacity: 1)
    hostTable.initialize(to: host)
    let text = twoHundredBytes
    guard let table = Measured.table(for: UnsafePointer(hostTable)) else { return }
    var instance: UnsafeMutableRawPointer?
    _ = text.withBorrowed("{}") { _, configuration in
        table.pointee.create(table, hostTable, configuration, &sink, &instance)
    }
    guard let direct = Measured.made.withLock({ $0 }) else { return }

    for (name, number) in [("pass", Int64(0)), ("decode", 1)] {
        let figures = compare(table.pointee, instance, direct, number: number, sink: &sink)
        ChannelBenchmark.report("\(name)_through_abi_ns", figures.throughTable)
        ChannelBenchmark.report("\(name)_direct_ns", figures.direct)
    }
}

/// Nanoseconds of a call each way, in turns.
private func compare(
    _ table: goclaw_channel, _ instance: UnsafeMutableRawPointer?, _ direct: Measured, number: Int64,
    sink: inout goclaw_sink
) -> (throughTable: Double, direct: Double) {
    let calls = 20_000
    var throughTable: [Double] = []
    var inSwift: [Double] = []
    var slot: UnsafeMutableRawPointer?
    withUnsafeMutablePointer(to: &slot) { slot in
        twoHundredBytes.withBorrowed("tablet-01") { body, name in
            var session = goclaw_session()
            session.size = UInt32(MemoryLayout<goclaw_session>.size)
            session.id = 1
            session.slot = slot
            session.sender_id = name
            _ = table.session_opened(instance, &session, &sink)
            var message = goclaw_device_message()
            message.size = UInt32(MemoryLayout<goclaw_device_message>.size)
            message.number = number
            message.id = name
            message.body = body
            let swiftSession = Session(id: 1, senderID: "tablet-01", credential: .token)
            let swiftMessage = DeviceMessage(number: number, id: "tablet-01", body: twoHundredBytes)
            var state: Void = ()
            for _ in 0..<31 {
                let started = threadTime()
                for _ in 0..<calls { _ = table.receive(instance, &session, &message, &sink) }
                let middle = threadTime()
                for _ in 0..<calls {
                    guard let answer = try? direct.receive(swiftMessage, in: swiftSession, state: &state),
                        case .message(let passed)? = answer.items?.first
                    else { continue }
                    copied.withLock { $0 = Array(passed.body.text.utf8) }
                }
                let ended = threadTime()
                throughTable.append((middle - started) / Double(calls))
                inSwift.append((ended - middle) / Double(calls))
            }
        }
    }
    return (median(throughTable), median(inSwift))
}

extension String {
    /// Lends this string and another to C.
    fileprivate func withBorrowed<Result>(
        _ other: String, _ body: (goclaw_text, goclaw_text) -> Result
    ) -> Result {
        var one = self
        var two = other
        return one.withUTF8 { one in
            two.withUTF8 { two in
                body(goclaw_text(one), goclaw_text(two))
            }
        }
    }
}

extension goclaw_text {
    fileprivate init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.init(
            ptr: UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self), len: bytes.count)
    }
}
