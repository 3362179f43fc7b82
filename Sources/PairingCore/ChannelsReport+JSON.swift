// How a gateway's report travels through the database, and what `nodesctl channels --json` prints. Every
// member is always there; what there is not is null. Members may be added.
extension ChannelsReport {
    /// The report as JSON.
    public var json: JSONValue {
        .object([
            "channels": .array(channels.map(\.json)), "refused": .array(refused.map(\.json)),
            "newcomers": .array(newcomers.map(\.json)), "newlyRefused": .array(newlyRefused.map(\.json)),
        ])
    }

    /// Reads a report of this version of the software, or of one that only added members.
    ///
    /// - Returns: `nil` for anything else.
    package init?(json: JSONValue) {
        do {
            channels = try json.member("channels").array(Channel.init)
            refused = try json.member("refused").array(Refused.init)
            newcomers = try json.member("newcomers").array(Found.init)
            newlyRefused = try json.member("newlyRefused").array(Refused.init)
        } catch {
            return nil
        }
    }
}

extension ChannelsReport.Channel {
    /// The channel as JSON.
    public var json: JSONValue {
        .object([
            "id": .string(id.text), "displayName": .string(library.displayName),
            "version": .string(library.version), "abi": .string(library.abi), "path": .string(library.path),
            "sha256": .string(library.sha256),
            "swiftVersion": library.swiftVersion.map(JSONValue.string) ?? .null, "limits": limits.json,
            "outOfService": outOfService.map(JSONValue.string) ?? .null, "stuck": .bool(isStuck),
            "overdueCalls": .integer(Int64(overdueCalls)), "waitingCalls": .integer(Int64(waitingCalls)),
            "sessions": .integer(Int64(sessions)), "misbehaviours": .integer(Int64(misbehaviours)),
            "requiresKey": .bool(limits.requiresKey),
            "values": .object(values.mapValues(JSONValue.number)), "afterRestart": outlook.json,
            "declarations": .array(
                declarations.map { .object(["label": .string($0.label), "value": .string($0.value)]) }),
        ])
    }

    fileprivate init(_ json: JSONValue) throws(UnknownShape) {
        id = try json.member("id").parsed(ChannelID.init)
        library = ChannelsReport.Library(
            displayName: try json.member("displayName").plainText(),
            version: try json.member("version").plainText(),
            abi: try json.member("abi").plainText(), path: try json.member("path").plainText(),
            sha256: try json.member("sha256").plainText(),
            swiftVersion: try json.member("swiftVersion").unlessNull { value throws(UnknownShape) in
                try value.plainText()
            })
        limits = try ChannelLimits(try json.member("limits"))
        limits.requiresKey = try json.member("requiresKey").flag()
        outOfService = try json.member("outOfService").unlessNull { value throws(UnknownShape) in
            try value.plainText()
        }
        isStuck = try json.member("stuck").flag()
        overdueCalls = try json.member("overdueCalls").whole()
        waitingCalls = try json.member("waitingCalls").whole()
        sessions = try json.member("sessions").whole()
        misbehaviours = try json.member("misbehaviours").whole()
        guard case .object(let members) = try json.member("values") else { throw UnknownShape() }
        var values: [String: Double] = [:]
        for (name, value) in members { values[name] = try value.real() }
        self.values = values
        outlook = try ChannelsReport.Outlook(try json.member("afterRestart"))
        // A gateway of an earlier version does not say them.
        guard case .array(let told)? = json["declarations"] else { return }
        declarations = try told.map { value throws(UnknownShape) in
            Detail(label: try value.member("label").plainText(), value: try value.member("value").plainText())
        }
    }
}

extension ChannelLimits {
    fileprivate var json: JSONValue {
        .object([
            "maximumMessageBytes": .optional(maximumMessageBytes),
            "messagesPerSecond": messagesPerSecond.map(JSONValue.number) ?? .null,
            "burst": .optional(burst), "heartbeatMs": .optional(heartbeat?.milliseconds),
            "silenceMs": .optional(silence?.milliseconds),
            "pairingLifetimeMs": .optional(pairingLifetime?.milliseconds),
            "tickMs": .optional(tick?.milliseconds),
        ])
    }

    fileprivate init(_ json: JSONValue) throws(UnknownShape) {
        func time(_ name: String) throws(UnknownShape) -> Duration? {
            let milliseconds: Int64? = try json.member(name).optionalWhole()
            return milliseconds.map { .milliseconds($0) }
        }
        self.init()
        maximumMessageBytes = try json.member("maximumMessageBytes").optionalWhole()
        messagesPerSecond = try json.member("messagesPerSecond").unlessNull { value throws(UnknownShape) in
            try value.real()
        }
        burst = try json.member("burst").optionalWhole()
        heartbeat = try time("heartbeatMs")
        silence = try time("silenceMs")
        pairingLifetime = try time("pairingLifetimeMs")
        tick = try time("tickMs")
    }
}

extension ChannelsReport.Outlook {
    fileprivate var json: JSONValue {
        switch self {
        case .same: .object(["state": .string("same")])
        case .other(let found): .object(["state": .string("other"), "plugin": found.json])
        case .refused(let reason): .object(["state": .string("refused"), "reason": .string(reason)])
        case .gone: .object(["state": .string("gone")])
        }
    }

    fileprivate init(_ json: JSONValue) throws(UnknownShape) {
        switch try json.member("state").plainText() {
        case "same": self = .same
        case "other": self = .other(try ChannelsReport.Found(try json.member("plugin")))
        case "refused": self = .refused(try json.member("reason").plainText())
        case "gone": self = .gone
        default: throw UnknownShape()
        }
    }
}

extension ChannelsReport.Found {
    fileprivate var json: JSONValue {
        .object([
            "id": .string(id.text), "version": .string(version), "path": .string(path),
            "sha256": .string(sha256),
        ])
    }

    fileprivate init(_ json: JSONValue) throws(UnknownShape) {
        id = try json.member("id").parsed(ChannelID.init)
        version = try json.member("version").plainText()
        path = try json.member("path").plainText()
        sha256 = try json.member("sha256").plainText()
    }
}

extension ChannelsReport.Refused {
    /// The plugin as JSON.
    public var json: JSONValue { .object(["path": .string(path), "reason": .string(reason)]) }

    fileprivate init(_ json: JSONValue) throws(UnknownShape) {
        path = try json.member("path").plainText()
        reason = try json.member("reason").plainText()
    }
}

/// The JSON is of another version of this software.
private struct UnknownShape: Error {}

extension JSONValue {
    fileprivate static func optional(_ number: (some BinaryInteger)?) -> JSONValue {
        number.map { .integer(Int64($0)) } ?? .null
    }

    fileprivate func member(_ name: String) throws(UnknownShape) -> JSONValue {
        guard let member = self[name] else { throw UnknownShape() }
        return member
    }

    fileprivate func plainText() throws(UnknownShape) -> String {
        guard let string else { throw UnknownShape() }
        return string
    }

    fileprivate func parsed<Value>(_ parse: (String) -> Value?) throws(UnknownShape) -> Value {
        guard let value = parse(try plainText()) else { throw UnknownShape() }
        return value
    }

    fileprivate func flag() throws(UnknownShape) -> Bool {
        guard case .bool(let value) = self else { throw UnknownShape() }
        return value
    }

    fileprivate func whole<Number: FixedWidthInteger>() throws(UnknownShape) -> Number {
        guard case .integer(let value) = self, let number = Number(exactly: value) else {
            throw UnknownShape()
        }
        return number
    }

    fileprivate func optionalWhole<Number: FixedWidthInteger>() throws(UnknownShape) -> Number? {
        try unlessNull { value throws(UnknownShape) in try value.whole() }
    }

    /// A number, however the database spells it.
    fileprivate func real() throws(UnknownShape) -> Double {
        guard let value = double else { throw UnknownShape() }
        return value
    }

    fileprivate func array<Value>(
        _ element: (JSONValue) throws(UnknownShape) -> Value
    ) throws(UnknownShape) -> [Value] {
        guard case .array(let values) = self else { throw UnknownShape() }
        var elements: [Value] = []
        for value in values { elements.append(try element(value)) }
        return elements
    }

    fileprivate func unlessNull<Value>(
        _ read: (JSONValue) throws(UnknownShape) -> Value
    ) throws(UnknownShape) -> Value? {
        self == .null ? nil : try read(self)
    }
}
