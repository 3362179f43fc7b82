/// What an administrator changes of a pairing; what is `nil` stays as it is.
public struct DeviceChange: Sendable, Equatable {
    /// When a pairing ends by itself.
    public enum Expiry: Sendable, Equatable {
        case never
        /// That long from now on, by the database's clock.
        case after(Duration)
    }

    /// What administrators call it; empty for no label.
    public var label: String?
    /// What they say of it; empty for no note.
    public var note: String?
    /// When it ends.
    public var expiry: Expiry?
    /// Who answers it; empty for its channel's agent.
    public var agents: [String]?

    /// Wraps the parts.
    public init(
        label: String? = nil, note: String? = nil, expiry: Expiry? = nil, agents: [String]? = nil
    ) {
        self.label = label
        self.note = note
        self.expiry = expiry
        self.agents = agents
    }
}

/// How a listing of devices is sorted.
public enum DeviceOrder: String, Sendable, CaseIterable {
    case newest, oldest, sender, name
}
