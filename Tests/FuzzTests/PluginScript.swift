import CGoClawChannel
import Logging
import PairingCore

@testable import ChannelHost

/// What a plugin puts into its sink, read from bytes: which call it is in, then one thing after another, each with texts
/// that are as they come.
struct PluginScript {
    private var bytes: ArraySlice<UInt8>
    private static let kinds: [CallKind] = [
        .describe, .create, .review, .sessionOpened, .receive, .deliver, .tick,
    ]

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    /// In a call that receives a message: one for its agent and a frame; in another one a detail and a reason.
    static var examples: [[UInt8]] {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        return [
            [4, 1] + text("id") + text("agent") + text("{\"a\":1}") + [0, 2] + text("says") + text("{}"),
            [2, 0] + text("Model") + text("T1") + [3] + text("not_today") + text("Come tomorrow."),
            [0, 5] + text("web") + text("Web") + text("1.0.0") + text("hook") + [1, 2, 3, 4, 5, 6],
            [1, 6] + Array(repeating: 0, count: 64), [4, 4, 1] + text("") + text("") + text("1") + [1],
        ]
    }

    /// Puts everything in and looks at what came out.
    mutating func run() throws {
        let kind = Self.kinds[Int(next()) % Self.kinds.count]
        let sink = PluginSink()
        let services = ChannelServices(
            name: "fuzz", limits: ChannelCallLimits(),
            logger: Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() }))
        sink.begin(kind, services: services, call: nil)
        while !bytes.isEmpty { putOne(into: sink.table) }
        try check(sink.end(), of: kind)
    }

    private mutating func next() -> UInt8 { bytes.popFirst() ?? 0 }

    /// A text with its length before it.
    private mutating func text() -> [UInt8] {
        let count = Int(next())
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    private mutating func record<Record>(_ empty: Record, size: WritableKeyPath<Record, UInt32>) -> Record {
        var record = empty
        let count = min(bytes.count, MemoryLayout<Record>.size)
        withUnsafeMutableBytes(of: &record) { $0.copyBytes(from: bytes.prefix(count)) }
        bytes = bytes.dropFirst(count)
        record[keyPath: size] = UInt32(MemoryLayout<Record>.size)
        return record
    }

    private mutating func putOne(into table: UnsafePointer<goclaw_sink>) {
        let sink = table.pointee
        switch next() % 7 {
        case 0: lend(text(), text()) { _ = sink.detail?(table, $0, $1) }
        case 1:
            let (id, agent, body, flags) = (text(), text(), text(), UInt32(next()))
            lend(id, agent) { id, agent in
                lend(body, []) { body, _ in
                    var message = goclaw_agent_message()
                    message.size = UInt32(MemoryLayout<goclaw_agent_message>.size)
                    (message.flags, message.part) = (flags, flags >> 4)
                    (message.id, message.agent, message.body) = (id, agent, body)
                    _ = sink.message?(table, &message)
                }
            }
        case 2:
            lend(text(), text()) { event, payload in
                var frame = goclaw_frame()
                frame.size = UInt32(MemoryLayout<goclaw_frame>.size)
                (frame.event, frame.payload) = (event, payload)
                _ = sink.frame?(table, &frame)
                _ = sink.frame_to?(table, 1, &frame)
            }
        case 3: lend(text(), text()) { _ = sink.reason?(table, $0, $1) }
        case 4: _ = sink.ephemeral?(table)
        case 5:
            let (id, name, version, hook) = (text(), text(), text(), text())
            var periods = [UInt64(next()), UInt64(next()) << 8, UInt64(next()) << 56]
            var description = goclaw_description()
            description.size = UInt32(MemoryLayout<goclaw_description>.size)
            description.batch_messages = UInt32(next())
            description.batch_ms = UInt64(next())
            description.silence_count = UInt32(next() % 4)
            description.command_lifetime_ms = UInt64(next()) << 40
            lend(id, name) { id, name in
                lend(version, hook) { version, hook in
                    periods.withUnsafeMutableBufferPointer { periods in
                        (description.id, description.display_name) = (id, name)
                        (description.version, description.push_hook) = (version, hook)
                        description.silence_periods_ms = UnsafePointer(periods.baseAddress)
                        _ = sink.description?(table, &description)
                    }
                }
            }
        default:
            var limits = record(goclaw_limits(), size: \.size)
            _ = sink.limits?(table, &limits)
        }
    }

    /// Two texts for the time of a call.
    private func lend(_ one: [UInt8], _ two: [UInt8], _ body: (goclaw_text, goclaw_text) -> Void) {
        one.withUnsafeBytes { one in
            two.withUnsafeBytes { two in
                body(
                    goclaw_text(ptr: one.baseAddress?.assumingMemoryBound(to: CChar.self), len: one.count),
                    goclaw_text(ptr: two.baseAddress?.assumingMemoryBound(to: CChar.self), len: two.count))
            }
        }
    }

    private func check(_ output: CallOutput, of kind: CallKind) throws {
        let (messages, frames) = (output.output.messages, output.output.frames)
        try demand(output.details.count <= CallOutput.maximumDetails, "details are bounded")
        try demand(messages.count <= CallOutput.maximumItems, "messages are bounded")
        try demand(frames.count <= CallOutput.maximumItems, "frames are bounded")
        try demand(kind == .receive || messages.isEmpty, "messages come of a device's message only")
        try demand(
            !output.output.isEphemeral || messages.isEmpty, "an ephemeral message has none for an agent")
        for message in messages {
            try demand((try? JSONValue(parsing: message.body.utf8)) != nil, "a message is JSON")
        }
        for frame in frames {
            guard case .object? = try? JSONValue(parsing: frame.payload.utf8) else {
                throw BrokenRule(rule: "a frame is a JSON object")
            }
            try demand(!frame.event.hasPrefix("device."), "an event is not the host's")
        }
        for detail in output.details {
            try demand(!detail.label.unicodeScalars.contains { $0.value < 0x20 }, "a label is printable")
        }
        let reason = output.reasonMessage ?? ""
        try demand(reason.unicodeScalars.count <= CallOutput.maximumReasonScalars, "a reason is bounded")
    }
}
