import CGoClawChannel
import PairingCore

/// The functions of a plugin's table, called with Swift values that are lent for the call.
///
/// Each returns the plugin's status. Where the plugin does without a function, its caller knows from the
/// table; calling it is then nothing done.
extension Plugin {
    typealias Sink = UnsafePointer<goclaw_sink>

    func review(_ claim: ChannelClaim, _ sink: Sink) -> goclaw_status {
        withTexts(claim.senderID.text, claim.displayName) { senderID, displayName in
            withText(claim.metadata) { metadata in
                var record = goclaw_claim(
                    size: recordSize(of: goclaw_claim.self), credential: credential(hasKey: claim.hasKey),
                    sender_id: senderID, display_name: displayName, metadata: metadata)
                return table.review(instance, &record, sink)
            }
        }
    }

    func opened(_ session: ChannelSession, _ sink: Sink) -> goclaw_status {
        session.lend { table.session_opened?(instance, $0, sink) } ?? goclaw_status(GOCLAW_OK)
    }

    func closed(_ session: ChannelSession, reason: String) {
        session.lend { session in withText(reason) { table.session_closed?(instance, session, $0) } }
    }

    func receive(
        _ message: ChannelDeviceMessage, in session: ChannelSession, _ sink: Sink
    ) -> goclaw_status {
        withTexts(message.id, message.body) { id, body in
            var record = goclaw_device_message(
                size: recordSize(of: goclaw_device_message.self), flags: 0, number: message.number,
                received_ms: message.receivedAt.milliseconds, id: id, body: body)
            return session.lend { table.receive?(instance, $0, &record, sink) } ?? goclaw_status(GOCLAW_OK)
        }
    }

    func deliver(
        _ message: ChannelAgentMessage, in session: ChannelSession, _ sink: Sink
    ) -> goclaw_status {
        withTexts(message.id, message.agent) { id, agent in
            withText(message.body) { body in
                var record = goclaw_agent_message(
                    size: recordSize(of: goclaw_agent_message.self), flags: message.part.flags,
                    number: message.number, id: id, agent: agent, body: body,
                    part: message.part?.index ?? 0, reserved: 0)
                return session.lend { table.deliver?(instance, $0, &record, sink) }
                    ?? goclaw_status(GOCLAW_OK)
            }
        }
    }

    func tick(_ sink: Sink) -> goclaw_status {
        table.tick?(instance, wallClockMilliseconds(), sink) ?? goclaw_status(GOCLAW_OK)
    }
}

extension ChannelAgentMessage.Part? {
    fileprivate var flags: UInt32 {
        guard let self else { return 0 }
        return UInt32(GOCLAW_MESSAGE_PART | (self.isLast ? GOCLAW_MESSAGE_LAST : 0))
    }
}

func credential(hasKey: Bool) -> UInt32 {
    UInt32(hasKey ? GOCLAW_CREDENTIAL_KEY : GOCLAW_CREDENTIAL_TOKEN)
}
