import PairingCore
import PairingStore

/// What administrators know and say of one device.
extension PairingAdministration {
    /// The greatest number of characters (Unicode scalars) of a label.
    public static let maximumLabelLength = 64
    /// The same of a note.
    public static let maximumNoteLength = 1000
    /// The most agents of one device.
    public static let maximumAgents = 16
    /// The most characters of a message's text that are shown.
    static let maximumShownText = 2000

    /// What is known of a device beside its pairings: its session, newest messages and events.
    ///
    /// - Parameters:
    ///   - device: the pairing.
    ///   - showsText: with the messages' text; that look is an event.
    /// - Throws: `FORBIDDEN` where the text may not be shown.
    public func sight(
        of device: PairedDevice, showsText: Bool = false, from address: ClientAddress? = nil,
        by authority: Authority
    ) async throws(Refusal) -> DeviceSight {
        try authority.require(.read)
        guard showsText else {
            return try await refusing(logger) {
                try await store.sight(of: device.senderID, device.generation)
            }
        }
        let origination = try origination(authority, address)
        guard settings.showsMessageText else { throw .textHidden }
        var sight = try await refusing(logger) {
            try await store.recordReading(of: device, by: origination)
            return try await store.sight(
                of: device.senderID, device.generation, textLength: Self.maximumShownText)
        }
        for index in sight.messages.indices {
            sight.messages[index].text = sight.messages[index].text.map {
                cleanDeviceText($0, maximumScalars: Self.maximumShownText)
            }
        }
        return sight
    }

    /// Changes what is said of a device: its label, note, expiry, agents, and which commands of it may be used.
    ///
    /// - Parameters:
    ///   - generation: the generation that was displayed; `nil` for whichever it is.
    ///   - change: label and note as they were typed; what is too long of them is cut.
    /// - Throws: `NOT_FOUND` where none is paired, `FAILED_PRECONDITION` where it was paired anew,
    ///   `INVALID_REQUEST` for an agent that is not configured, or a command that the device does not declare.
    public func change(
        _ senderID: SenderID, generation: Generation? = nil, _ change: DeviceChange,
        from address: ClientAddress? = nil, by authority: Authority
    ) async throws(Refusal) -> PairedDevice {
        let origination = try origination(authority, address)
        try check(change.agents)
        var change = change
        change.label = change.label.map { cleanDeviceText($0, maximumScalars: Self.maximumLabelLength) }
        change.note = change.note.map { cleanDeviceText($0, maximumScalars: Self.maximumNoteLength) }
        return try await refusing(logger) { [change] in
            try await store.change(senderID, generation: generation, change, by: origination)
        }.get()
    }

    /// Whether those agents may be chosen.
    ///
    /// - Throws: `INVALID_REQUEST` with the names there are.
    func check(_ agents: [String]?) throws(Refusal) {
        guard let agents else { return }
        guard agents.count <= Self.maximumAgents, Set(agents).count == agents.count else {
            throw Refusal(.badAgents, "Choose at most \(Self.maximumAgents) agents, each of them once.")
        }
        for name in agents where !settings.agents.names.contains(name) {
            throw Refusal(
                .unknownAgent,
                "There is no agent named “\(cleanDeviceText(name, maximumScalars: 64))”. There are: "
                    + settings.agents.names.joined(separator: ", ") + ".",
                details: ["agents": .array(settings.agents.names.map(JSONValue.string))])
        }
    }
}
