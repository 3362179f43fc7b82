internal import CGoClawChannel

/// How a call ends; the constants of goclaw_channel.h.
enum Status: Int32 {
    case ok = 0
    case invalid = 1
    case forbidden = 2
    case unavailable = 3
    case later = 4
    case failed = 5
}

/// The host's sink, for the duration of a call.
struct Sink: ~Copyable {
    private static let leastSize = ChannelKit.leastSize(with: \goclaw_sink.later)

    private let table: UnsafePointer<goclaw_sink>

    /// - Returns: `nil` where the table is smaller than this Kit's, which a host never passes.
    init?(_ table: UnsafePointer<goclaw_sink>?) {
        guard let table, table.pointee.size >= Self.leastSize else { return nil }
        self.table = table
    }

    borrowing func describe(_ identity: Identity, _ declarations: Declarations) -> Status {
        let taken = withTexts(identity.id, identity.displayName, identity.version) { id, name, version in
            withText(declarations.pushHook ?? "") { hook in
                declarations.silencePeriods.map { milliseconds($0) }.withUnsafeBufferPointer { periods in
                    var record = goclaw_description(
                        size: recordSize(of: goclaw_description.self),
                        flags: declarations.typing ? UInt32(GOCLAW_DESCRIPTION_TYPING) : 0, id: id,
                        display_name: name,
                        version: version, batch_messages: declarations.batchMessages ?? 0,
                        silence_count: UInt32(periods.count), batch_ms: milliseconds(declarations.batchTime),
                        silence_periods_ms: periods.baseAddress,
                        command_lifetime_ms: milliseconds(declarations.commandLifetime), push_hook: hook)
                    return table.pointee.description?(table, &record)
                }
            }
        }
        return taken == Status.ok.rawValue ? .ok : .failed
    }

    /// Says that the device's message is ephemeral, to a host that knows what that is.
    borrowing func markEphemeral() {
        guard table.pointee.size >= ChannelKit.leastSize(with: \goclaw_sink.ephemeral) else { return }
        _ = table.pointee.ephemeral?(table)
    }

    /// Sends frames to sessions, where the host can; what it does not take is lost.
    borrowing func put(_ frames: [SessionFrame]) {
        guard !frames.isEmpty, table.pointee.size >= ChannelKit.leastSize(with: \goclaw_sink.frame_to) else {
            return
        }
        for item in frames {
            withTexts(item.frame.event, item.frame.payload.text) { event, payload in
                var record = goclaw_frame(
                    size: recordSize(of: goclaw_frame.self), flags: 0, event: event, payload: payload)
                _ = table.pointee.frame_to?(table, item.session, &record)
            }
        }
    }

    borrowing func limit(_ limits: Limits) {
        var record = goclaw_limits(
            size: recordSize(of: goclaw_limits.self),
            flags: limits.requiresKey ? UInt32(GOCLAW_LIMITS_KEY_REQUIRED) : 0,
            max_message_bytes: limits.maximumMessageBytes ?? 0, burst: limits.burst ?? 0,
            messages_per_second: limits.messagesPerSecond ?? 0,
            heartbeat_ms: milliseconds(limits.heartbeat), silence_ms: milliseconds(limits.silence),
            pairing_lifetime_ms: milliseconds(limits.pairingLifetime), tick_ms: milliseconds(limits.tick))
        _ = table.pointee.limits?(table, &record)
    }

    borrowing func put(_ detail: Detail) {
        withTexts(detail.label, detail.value) { _ = table.pointee.detail?(table, $0, $1) }
    }

    borrowing func put(_ output: Output) {
        switch output {
        case .message(let message): put(message)
        case .frame(let frame): put(frame)
        case .receipt(let receipt): put(receipt)
        case .background(let isBackground): put(background: isBackground)
        }
    }

    /// Says what became of an agent's message, to a host that knows what that is.
    borrowing func put(_ receipt: MessageReceipt) {
        guard table.pointee.size >= ChannelKit.leastSize(with: \goclaw_sink.receipt) else { return }
        let state = receipt.isRead ? GOCLAW_RECEIPT_READ : GOCLAW_RECEIPT_DELIVERED
        _ = table.pointee.receipt?(table, receipt.number, Int32(state))
    }

    /// Says whether the device is in the background, to a host that knows what that is.
    borrowing func put(background isBackground: Bool) {
        guard table.pointee.size >= ChannelKit.leastSize(with: \goclaw_sink.background) else { return }
        _ = table.pointee.background?(table, isBackground ? 1 : 0)
    }

    /// Says after which silences the agent of the session's device is told, to a host that knows what that is.
    borrowing func put(silence periods: [Duration]) {
        guard table.pointee.size >= ChannelKit.leastSize(with: \goclaw_sink.silence) else { return }
        periods.map { milliseconds($0) }.withUnsafeBufferPointer { periods in
            _ = table.pointee.silence?(table, periods.baseAddress, UInt32(periods.count))
        }
    }

    borrowing func put(_ message: AgentMessage) {
        var flags = 0
        if let part = message.part {
            flags = GOCLAW_MESSAGE_PART | (part.isLast ? GOCLAW_MESSAGE_LAST : 0)
        }
        withTexts(message.id, message.agent, message.body.text) { id, agent, body in
            var record = goclaw_agent_message(
                size: recordSize(of: goclaw_agent_message.self), flags: UInt32(flags),
                number: message.number, id: id, agent: agent, body: body, part: message.part?.index ?? 0,
                reserved: 0)
            _ = table.pointee.message?(table, &record)
        }
    }

    borrowing func put(_ frame: DeviceFrame) {
        withTexts(frame.event, frame.payload.text) { event, payload in
            var record = goclaw_frame(
                size: recordSize(of: goclaw_frame.self), flags: 0, event: event, payload: payload)
            _ = table.pointee.frame?(table, &record)
        }
    }

    borrowing func refuse(_ refusal: Refusal) -> Status {
        reason(refusal.code, refusal.message)
        return switch refusal.kind {
        case .invalid: .invalid
        case .forbidden: .forbidden
        case .unavailable: .unavailable
        }
    }

    borrowing func reason(_ code: String, _ message: String) {
        withTexts(code, message) { _ = table.pointee.reason?(table, $0, $1) }
    }

    /// Writes a call's answer, or takes a ticket for it.
    borrowing func settle<Item>(
        _ answer: Answer<Item>, host: Host, _ write: @escaping @Sendable (Item, borrowing Sink) -> Void
    ) -> Status {
        switch answer.content {
        case .now(let items):
            if answer.isEphemeral { markEphemeral() }
            for item in items { write(item, self) }
            return .ok
        case .later(let start):
            guard let number = table.pointee.later?(table), number != 0 else {
                reason("busy", "The channel has too much to do at the moment. Try again later.")
                return .unavailable
            }
            start(Ticket(host: host, number: number, write: write))
            return .later
        }
    }
}

private func milliseconds(_ duration: Duration?) -> UInt64 {
    guard let parts = duration?.components, parts.seconds >= 0, parts.seconds < 1 << 40 else { return 0 }
    return UInt64(parts.seconds) * 1000 + UInt64(max(0, parts.attoseconds) / 1_000_000_000_000_000)
}
