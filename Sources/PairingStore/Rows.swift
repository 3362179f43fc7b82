import PairingCore
import Postgres

/// A row that this program cannot have written: the database was changed by another hand.
struct CorruptRow: Error, CustomStringConvertible {
    let column: String

    var description: String { "column \(column) holds a value outside its grammar" }
}

enum Columns {
    /// The columns of ``PairingRequest``.
    static let request = """
        request_id::text AS request_id, sender_id, channel, code, state, public_key, token_hash, display_name,
        metadata::text AS metadata, detail_labels, detail_values, address, created_at, expires_at, decided_at,
        decided_by, reason
        """

    /// The columns of ``PairedDevice``, of a table named `d`.
    static let device = """
        d.request_id::text AS request_id, d.sender_id, d.channel, d.generation, d.state, d.public_key,
        d.token_hash, d.display_name, d.metadata::text AS metadata, d.detail_labels, d.detail_values, d.paired_at,
        d.paired_by, d.revoked_at, d.revoked_by,
        d.revoke_reason, d.label, d.note, d.expires_at, coalesce(d.agents, '{}') AS agents,
        coalesce(d.commands_off, '{}') AS commands_off
        """
}

extension PostgresRow {
    func senderID() throws -> SenderID { try parsed("sender_id", SenderID.init) }

    func channel() throws -> ChannelID { try parsed("channel", ChannelID.init) }

    func requestID() throws -> RequestID { try parsed("request_id", RequestID.init) }

    func conversation() throws -> ConversationName {
        ConversationName(stored: try text("conversation"))
    }

    func moment(_ column: String) throws -> Timestamp { Timestamp(milliseconds: try timestamp(column)) }

    func optionalMoment(_ column: String) throws -> Timestamp? {
        try optionalTimestamp(column).map { Timestamp(milliseconds: $0) }
    }

    func address(_ column: String = "address") throws -> ClientAddress? {
        try optionalText(column).flatMap { ClientAddress($0) }
    }

    func credential() throws -> StoredCredential {
        if let key = try optionalBytes("public_key") {
            guard let key = PublicKey(bytes: key) else { throw CorruptRow(column: "public_key") }
            return .key(key)
        }
        return .tokenHash(try bytes("token_hash"))
    }

    func profile() throws -> DeviceProfile {
        let details = zip(try texts("detail_labels"), try texts("detail_values")).map {
            Detail(label: $0, value: $1)
        }
        return DeviceProfile(
            displayName: try text("display_name"), metadata: try text("metadata"), details: details)
    }

    func pairingRequest() throws -> PairingRequest {
        PairingRequest(
            id: try requestID(), senderID: try senderID(), channel: try channel(),
            code: try parsed("code", PairingCode.init), credential: try credential(), profile: try profile(),
            address: try address(), state: try parsed("state", RequestState.init(rawValue:)),
            createdAt: try moment("created_at"), expiresAt: try moment("expires_at"),
            decidedAt: try optionalMoment("decided_at"), decidedBy: try optionalText("decided_by"),
            reason: try optionalText("reason"))
    }

    func pairedDevice() throws -> PairedDevice {
        var device = PairedDevice(
            requestID: try requestID(), senderID: try senderID(), channel: try channel(),
            credential: try credential(), profile: try profile(),
            generation: Generation(try int64("generation")),
            state: try parsed("state", DeviceState.init(rawValue:)), pairedAt: try moment("paired_at"),
            pairedBy: try text("paired_by"), revokedAt: try optionalMoment("revoked_at"),
            revokedBy: try optionalText("revoked_by"), revokeReason: try optionalText("revoke_reason"))
        device.label = try optionalText("label")
        device.note = try optionalText("note")
        device.expiresAt = try optionalMoment("expires_at")
        device.agents = try texts("agents")
        device.commandsOff = try texts("commands_off")
        return device
    }

    func parsed<Value>(_ column: String, _ parse: (String) -> Value?) throws -> Value {
        guard let value = parse(try text(column)) else { throw CorruptRow(column: column) }
        return value
    }
}
