import Agents
import ChannelHost
import Logging
import PairingCore
import PairingStore

/// What devices say through their channels that is no message for an agent to answer.
extension DeviceSessions {
    /// Somebody's silence periods, as its channel gave them.
    struct SilencePeriods: Sendable {
        let sender: PairingStore.PairedSender
        let periods: [Duration]?
    }

    /// Keeps after which silences the agent of a session's device is told, where its channel declares silence at all.
    func keepSilencePeriods(of grant: SessionGrant, _ session: ChannelSession) async {
        guard channels.channel(grant.channel)?.declarations.silencePeriods.isEmpty == false else { return }
        do {
            try await silences.submit(
                SilencePeriods(sender: grant.liveSession.sender, periods: session.silencePeriods))
        } catch {
            // The device is connected all the same; until its next session what was kept before holds.
            logger.warning(
                "A device's silence periods are not kept",
                metadata: ["senderId": "\(grant.senderID)", "error": "\(error)"])
        }
    }

    /// Keeps whether the device is in the background, where its channel says so.
    func note(_ output: ChannelOutput, from origin: MessageOrigin) async throws(Refusal) {
        guard let isBackground = output.background, origin.socket != nil else { return }
        try await refusing(logger) { try await store.setBackground(isBackground, of: origin.session) }
    }

    /// What agents are told of a device's receipts: each the agent that said the message, if it is one of ours. A program
    /// that pushed one asks for its status.
    func notices(
        of receipts: [ChannelReceipt], from sender: PairingStore.PairedSender
    ) async throws(Refusal) -> [PairingStore.ForwardedMessage] {
        var notices: [PairingStore.ForwardedMessage] = []
        for receipt in receipts {
            let message = try await refusing(logger) {
                try await store.receipted(receipt.number, isRead: receipt.state == .read, by: sender)
            }
            guard let message, (try? dispatcher.agents.agent(named: message.agent)) != nil else { continue }
            notices.append(
                PairingStore.ForwardedMessage(
                    agent: message.agent, body: message.notice(of: receipt).text, isNotice: true))
        }
        return notices
    }
}

extension PairingStore.ReceiptedMessage {
    /// What the agent is told.
    func notice(of receipt: ChannelReceipt) -> JSONValue {
        var members: [String: JSONValue] = [
            "type": .string("receipt"), "status": .string(receipt.state.rawValue),
            "messageSeq": .integer(receipt.number), "at": .integer(at.milliseconds),
        ]
        if let pushID { members["pushId"] = .string(pushID) }
        if let inReplyTo { members["inReplyTo"] = .string(inReplyTo) }
        return .object(members)
    }
}
