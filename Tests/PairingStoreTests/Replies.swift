import PairingCore

@testable import PairingStore

extension PairingStore {
    /// What agents answer to one message of a device.
    struct Reply {
        typealias Answer = AgentReply

        var session: LiveSession
        var inReplyTo: Int64
        var answers: [AgentReply]
    }

    /// Claims the devices' work for the instance, and stores the answers.
    ///
    /// - Returns: for each the messages that it made; none where it was not stored.
    func reply(
        _ replies: [Reply], by instance: InstanceID = StoreFixture.instances[0]
    ) async throws -> [[StoredMessage]] {
        let claim = WorkClaim(instance: instance, lease: .seconds(60))
        let senders = Dictionary(replies.map { ($0.session.senderID.key, $0.session.senderID) }) { $1 }
        var waiting = Array(senders.values)
        while !waiting.isEmpty {
            let outcomes = try await claimWork(of: waiting.map { ($0, 0) }, for: claim)
            waiting.removeAll { outcomes[$0.key] != .locked }
        }
        var result: [[StoredMessage]] = Array(repeating: [], count: replies.count)
        var open = Array(replies.indices)
        while !open.isEmpty {
            let outcomes = try await settle(
                open.map { place in
                    Settlement(
                        sender: PairedSender(
                            senderID: replies[place].session.senderID,
                            generation: replies[place].session.generation),
                        sequence: replies[place].inReplyTo, messageID: "m",
                        result: .answered(replies[place].answers))
                }, for: claim)
            for (place, outcome) in zip(open, outcomes) {
                if case .stored(let stored) = outcome { result[place] = stored.messages }
            }
            open = zip(open, outcomes).filter { $0.1 == .locked }.map(\.0)
        }
        return result
    }
}
