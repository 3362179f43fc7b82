import Logging
import PairingCore
import PairingStore

/// What programs of agents may see of devices, for the scope `send`: which are paired and what they can do, what sensors
/// measured, and what was said where the operator allows it. Each look is an event with the program's name.
///
/// Addresses, fingerprints, notes and who paired a device are not for them.
public struct ToolDesk: Sendable {
    let store: PairingStore
    let administration: PairingAdministration
    let settings: PairingSettings
    let logger: Logger

    /// How many of a device's newest messages are looked through for readings.
    static let searchedMessages = 500
    /// The largest message in which readings are looked for, in bytes.
    static let maximumReadingBytes = 16 << 10

    /// What a sensor measured.
    public struct Reading: Sendable, Equatable {
        /// The number of the message that it came with.
        public var sequence: Int64
        /// When the device says that it measured, else when the message was accepted.
        public var at: Timestamp
        /// The values by the readings' names.
        public var values: [String: JSONValue]
    }

    /// A program uses a tool that leaves no other trace.
    public func note(
        _ tool: String, about senderID: SenderID? = nil, from address: ClientAddress?, by authority: Authority
    ) async throws(Refusal) {
        try authority.require(.send)
        try await refusing(logger) {
            let device: PairedDevice? =
                if let senderID { try await store.activeDevices(of: [senderID])[senderID.key] } else { nil }
            try await store.recordToolCall(
                tool, of: device, by: Origination(authority.actor, address: address))
        }
    }

    /// The active pairings that a filter finds, as ``PairingAdministration/pairedDevices(_:after:limit:by:)``.
    public func devices(
        _ filter: DeviceFilter, after: String?, limit: Int, by authority: Authority
    ) async throws(Refusal) -> PairingAdministration.Page<PairingAdministration.DeviceRow> {
        try authority.require(.send)
        return try await administration.findDevices(filter, after: after, limit: limit)
    }

    /// What a device measured last, newest first: the readings that it declared when it asked to pair, and nothing else
    /// of its messages.
    ///
    /// - Parameter limit: 1...100.
    /// - Throws: `NOT_FOUND` where no such device is paired.
    public func readings(
        of senderID: SenderID, limit: Int, by authority: Authority
    ) async throws(Refusal) -> (device: PairedDevice, readings: [Reading]) {
        try authority.require(.send)
        let device = try await device(senderID)
        let names = Set(device.declaredReadings.compactMap { $0["name"]?.string })
        if names.isEmpty { return (device, []) }
        let messages = try await refusing(logger) {
            try await store.newestReceived(
                from: senderID, device.generation, limit: Self.searchedMessages,
                maximumBytes: Self.maximumReadingBytes)
        }
        let readings = messages.lazy.compactMap { Reading($0, names: names) }
        return (device, Array(readings.prefix(min(max(limit, 1), 100))))
    }

    /// What a device and its agents said last, newest first.
    ///
    /// - Parameter limit: 1...20.
    /// - Throws: `FORBIDDEN` where the operator does not allow it, `NOT_FOUND` where no such device is paired.
    public func messages(
        of senderID: SenderID, limit: Int, from address: ClientAddress?, by authority: Authority
    ) async throws(Refusal) -> [DeviceSight.Message] {
        try authority.require(.send)
        guard settings.showsMessageText else { throw .textHidden }
        let device = try await device(senderID)
        return try await refusing(logger) {
            try await store.recordReading(
                of: device, by: Origination(authority.actor, address: address))
            return try await store.sight(
                of: senderID, device.generation, textLength: PairingAdministration.maximumShownText,
                limit: min(max(limit, 1), 20)
            ).messages.map { message in
                var message = message
                message.text = message.text.map {
                    cleanDeviceText($0, maximumScalars: PairingAdministration.maximumShownText)
                }
                return message
            }
        }
    }

    private func device(_ senderID: SenderID) async throws(Refusal) -> PairedDevice {
        let device = try await refusing(logger) {
            try await store.activeDevices(of: [senderID])[senderID.key]
        }
        guard let device else { throw .noSuchDevice }
        return device
    }
}

extension PairedDevice {
    /// What it declares in `readings` of its metadata: objects with a name, and perhaps a unit and more.
    public var declaredReadings: [JSONValue] {
        guard case .array(let readings)? = (try? JSONValue(parsing: profile.metadata.utf8))?["readings"]
        else {
            return []
        }
        return readings.filter { $0["name"]?.string != nil }
    }
}

extension ToolDesk.Reading {
    /// - Returns: `nil` for a message without a reading of those names.
    init?(_ message: PairingStore.ReceivedMessage, names: Set<String>) {
        guard message.body.contains("\"readings\""),
            let body = try? JSONValue(parsing: message.body.utf8),
            case .object(let members)? = body["readings"]
        else { return nil }
        values = members.filter { names.contains($0.key) }
        guard !values.isEmpty else { return nil }
        sequence = message.sequence
        at = body["at"]?.wholeNumber.map { Timestamp(milliseconds: $0) } ?? message.createdAt
    }
}

extension Refusal {
    /// The operator keeps the text of messages to those who said it.
    static let textHidden = Refusal(
        .textHidden,
        "The text of messages is not shown here. Whoever operates the system can change that with "
            + "messages.show_text.")
}
