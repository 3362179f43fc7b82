import ChannelKit

/// The readings a device says it will send.
struct Declaration: Sendable {
    static let maximumReadings = 64
    /// 31 days, in milliseconds.
    static let maximumPeriod = 2_678_400_000

    private let model: String?
    private let firmware: String?
    private let readings: [Reading]
    private let indexes: [String: Int]

    private struct Metadata: Decodable {
        let model: String?
        let firmware: String?
        let readings: [Reading]
    }

    /// Reads the declaration from what the device sent when it asked to pair.
    ///
    /// - Throws: a refusal that names the reading and the rule.
    init(metadata: JSON, minimumPeriod: Int) throws(Refusal) {
        let decoded = try metadata.decode(Metadata.self)
        model = decoded.model
        firmware = decoded.firmware
        readings = decoded.readings
        guard (1...Self.maximumReadings).contains(readings.count) else {
            throw .invalid(
                "invalid_metadata",
                "The metadata's readings has \(readings.count) entries; expected 1 to \(Self.maximumReadings)."
            )
        }
        var indexes: [String: Int] = [:]
        for (index, reading) in readings.enumerated() {
            if let problem = reading.problem(minimumPeriod: minimumPeriod) {
                throw .invalid("invalid_reading", "The metadata's readings[\(index)] \(problem).")
            }
            guard indexes.updateValue(index, forKey: reading.name) == nil else {
                throw .invalid(
                    "invalid_reading",
                    "The metadata's readings[\(index)] has the name \"\(reading.name)\" of another reading.")
            }
        }
        self.indexes = indexes
    }

    /// What the administrator sees: as many readings as the page has room for.
    var details: [Detail] {
        var details: [Detail] = []
        if let model { details.append(Detail("Model", model)) }
        if let firmware { details.append(Detail("Firmware", firmware)) }
        details.append(Detail("Readings", String(readings.count)))
        let room = 28
        details += readings.prefix(room).map { Detail($0.name, $0.summary) }
        if readings.count > room { details.append(Detail("And", "\(readings.count - room) more readings")) }
        return details
    }

    /// The time in which the reading that comes most often should have come three times, at least 3 s: a moment without
    /// a connection is no silence.
    var silence: Duration {
        max(.seconds(3), .milliseconds(3 * (readings.map(\.periodMs).min() ?? Self.maximumPeriod)))
    }

    /// The names of the first readings, for a refusal.
    private var declaredNames: String {
        let room = 4
        let names = readings.prefix(room).map(\.name).joined(separator: ", ")
        return readings.count > room ? names + " and \(readings.count - room) more" : names
    }

    /// Checks the values of a message.
    ///
    /// - Returns: the values with their units, in the order of the declaration.
    /// - Throws: a refusal that names the reading and the rule.
    func check(_ values: [String: Value]) throws(Refusal) -> [SensorReport.Entry] {
        guard !values.isEmpty else {
            throw .invalid("no_readings", "The message's readings is empty; expected at least one reading.")
        }
        if let unknown = values.keys.filter({ indexes[$0] == nil }).min() {
            throw .invalid(
                "unknown_reading",
                "The reading \"\(excerpt(unknown))\" was not declared when the device asked to pair; declared "
                    + "are \(declaredNames). Pair again to declare others.")
        }
        var entries: [SensorReport.Entry] = []
        for reading in readings {
            guard let value = values[reading.name] else { continue }
            if let problem = reading.problem(with: value) {
                throw .invalid("invalid_reading", "The reading \"\(reading.name)\" \(problem).")
            }
            entries.append(.init(name: reading.name, value: value, unit: reading.unit))
        }
        return entries
    }
}

/// One declared reading.
struct Reading: Decodable, Sendable {
    /// What its values are.
    enum Kind: String, Decodable, CaseIterable {
        case number, integer, boolean, text
    }

    let name: String
    let unit: String
    let type: String
    let min: Double?
    let max: Double?
    let periodMs: Int

    private var kind: Kind? { Kind(rawValue: type) }

    /// What is wrong with the declaration, as the rest of a sentence.
    func problem(minimumPeriod: Int) -> String? {
        guard isName(name) else {
            return "has a name that is not a letter followed by up to 63 letters, digits, dots, hyphens or "
                + "underscores"
        }
        guard let kind else {
            return "(\(name)) has the type \"\(excerpt(type))\"; expected "
                + Kind.allCases.map(\.rawValue).joined(separator: ", ")
        }
        guard UCUM.isUnit(unit) else {
            return
                "(\(name)) has the unit \"\(excerpt(unit))\", which is no UCUM code; expected one such as "
                + "Cel, %, Pa, m/s, kW.h, or 1 for a plain number"
        }
        guard kind == .number || kind == .integer || (min == nil && max == nil) else {
            return "(\(name)) has min or max, which only numbers and integers have"
        }
        if let min, let max, min > max { return "(\(name)) has a min above its max" }
        guard (minimumPeriod...Declaration.maximumPeriod).contains(periodMs) else {
            return "(\(name)) has the periodMs \(periodMs); expected \(minimumPeriod) to "
                + "\(Declaration.maximumPeriod)"
        }
        return nil
    }

    /// What is wrong with a value, as the rest of a sentence.
    func problem(with value: Value) -> String? {
        let number: Double
        switch (kind, value) {
        case (.boolean, .boolean): return nil
        case (.text, .text(let text)):
            return text.unicodeScalars.count <= 256 ? nil : "has a text of more than 256 characters"
        case (.number, .number(let value)): number = value
        case (.integer, .number(let value)):
            guard value == value.rounded() else { return "is \(value); it was declared as an integer" }
            number = value
        default: return "is not of its declared type, \(type)"
        }
        if let min, number < min { return "is \(number), less than its declared min, \(min)" }
        if let max, number > max { return "is \(number), more than its declared max, \(max)" }
        return nil
    }

    /// For the administrator, such as `number, Cel, -40.0 to 85.0, every 60 s`.
    var summary: String {
        var parts = [type, unit]
        switch (min, max) {
        case (let min?, let max?): parts.append("\(min) to \(max)")
        case (let min?, nil): parts.append("from \(min)")
        case (nil, let max?): parts.append("up to \(max)")
        case (nil, nil): break
        }
        parts.append(periodMs % 1000 == 0 ? "every \(periodMs / 1000) s" : "every \(periodMs) ms")
        return parts.joined(separator: ", ")
    }
}

/// A letter followed by up to 63 letters, digits, dots, hyphens or underscores.
func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLetter(first), text.utf8.count <= 64 else { return false }
    return text.utf8.allSatisfy { byte in
        isLetter(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || "._-".utf8.contains(byte)
    }
}

private func isLetter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    default: false
    }
}
