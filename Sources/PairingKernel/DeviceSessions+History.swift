import PairingCore
import PairingStore
import Synchronization

extension DeviceSessions {
    /// `message.history`: what is kept of one of a device's conversations, a page of it.
    ///
    /// - Parameter limit: 1 to ``MessageHistory/maximumLimit`` messages.
    public func history(
        in conversation: ConversationName, before cursor: MessageHistory.Cursor, limit: Int,
        grant: SessionGrant, on socket: any DeviceSocket
    ) async throws(Refusal) -> MessageHistory.Page {
        guard state.withLock({ $0.table.isLive(socket.id, grant) }) else { throw .sessionEnded }
        return try await refusing(logger) {
            try await store.history(
                of: grant.liveSession.sender, in: conversation, before: cursor, limit: limit)
        }
    }
}
