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
    /// Which of its commands may be used from now on, and which may not.
    public var commands: CommandSwitches

    /// Wraps the parts.
    public init(
        label: String? = nil, note: String? = nil, expiry: Expiry? = nil, agents: [String]? = nil,
        commands: CommandSwitches = CommandSwitches()
    ) {
        self.label = label
        self.note = note
        self.expiry = expiry
        self.agents = agents
        self.commands = commands
    }
}

/// Commands of a device that are switched on and off; the others stay as they are.
public struct CommandSwitches: Sendable, Equatable {
    /// The names of those that may be used from now on.
    public var on: Set<String>
    /// The names of those that may not.
    public var off: Set<String>

    /// The most names of a device that are switched off.
    public static let maximumOff = 256

    /// Wraps the two.
    public init(on: Set<String> = [], off: Set<String> = []) {
        self.on = on
        self.off = off
    }

    /// Whether nothing is switched.
    public var isEmpty: Bool { on.isEmpty && off.isEmpty }

    /// What is switched off afterwards, sorted.
    ///
    /// - Parameters:
    ///   - before: what is switched off before.
    ///   - metadata: what the device declares: only its commands can be switched off.
    /// - Throws: `INVALID_REQUEST` for a name that the device does not declare.
    public func applied(to before: [String], declaredIn metadata: String) throws(Refusal) -> [String] {
        let declared = DeviceCommand.declared(in: metadata).map(\.name)
        if let unknown = off.sorted().first(where: { !declared.contains($0) && !before.contains($0) }) {
            throw Refusal(
                .undeclaredCommand,
                "The device declares no command named “\(cleanDeviceText(unknown, maximumScalars: 64))”. "
                    + (declared.isEmpty
                        ? "It declares none." : "It declares: \(declared.joined(separator: ", "))."),
                details: ["commands": .array(declared.map(JSONValue.string))])
        }
        let after = Set(before).union(off).subtracting(on)
        guard after.count <= Self.maximumOff else {
            throw Refusal(
                .tooManyCommands,
                "More than \(Self.maximumOff) commands of a device can't be switched off; switch on those that it "
                    + "declares no more.")
        }
        return after.sorted()
    }
}

/// How a listing of devices is sorted.
public enum DeviceOrder: String, Sendable, CaseIterable {
    case newest, oldest, sender, name
}
