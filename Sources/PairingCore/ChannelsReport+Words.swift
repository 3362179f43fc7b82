// The numbers of a report in words, the same on the page and on the command line.
extension ChannelLimits {
    /// Every limit with its value in the unit that people use.
    public var facts: [Detail] {
        [
            Detail(label: "Credential", value: requiresKey ? "a key" : "a key or a device token"),
            Detail(label: "Largest message", value: maximumMessageBytes.map(byteCount) ?? Self.left),
            Detail(label: "Messages", value: rate ?? Self.left),
            Detail(
                label: "Heartbeat",
                value: heartbeat.map { "every " + exactDuration($0) } ?? Self.left),
            Detail(
                label: "Silence",
                value: silence.map { "closed after " + exactDuration($0) } ?? Self.left),
            Detail(
                label: "Pairing request",
                value: pairingLifetime.map { "expires after " + exactDuration($0) } ?? Self.left),
            Detail(label: "Tick", value: tick.map { "every " + exactDuration($0) } ?? "none"),
        ]
    }

    private static let left = "as configured"

    private var rate: String? {
        guard let messagesPerSecond else { return nil }
        let burst = burst.map { ", up to \(grouped(Int64($0))) at once" } ?? ""
        return plainNumber(messagesPerSecond) + " a second" + burst
    }
}

extension ChannelDeclarations {
    /// Every declaration in the unit that people use.
    package var facts: [Detail] {
        var facts: [Detail] = []
        func add(_ label: String, _ value: String) {
            facts.append(Detail(label: "Declares " + label, value: value))
        }
        if let batchMessages {
            let time = batchTime.map { ", or what comes in " + exactDuration($0) } ?? ""
            add("batches", "up to \(grouped(Int64(batchMessages))) messages\(time)")
        }
        if !silencePeriods.isEmpty {
            let periods = silencePeriods.map { exactDuration($0) }.joined(separator: ", ")
            add("silence", "told after " + periods)
        }
        if let commandLifetime { add("commands", "worth " + exactDuration(commandLifetime)) }
        if let pushHook { add("push hook", pushHook) }
        if typing { add("typing", "told when an agent begins to answer") }
        return facts
    }
}

extension ChannelsReport.Channel {
    /// Its limits and its declarations.
    public var facts: [Detail] { limits.facts + declarations }

    /// The plugin's counters and gauges, sorted by name.
    public var valueFacts: [Detail] {
        values.sorted { $0.key < $1.key }.map { Detail(label: $0.key, value: plainNumber($0.value)) }
    }

    /// The calls that are not answered yet; `nil` where there are none.
    public var openCalls: String? {
        let parts = [(waitingCalls, "waiting"), (overdueCalls, "out of time")]
            .filter { $0.0 > 0 }.map { "\(grouped(Int64($0.0))) \($0.1)" }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

/// A number without an exponent or a fraction where it needs none.
func plainNumber(_ number: Double) -> String {
    guard let whole = Int64(exactly: number), abs(number) < 9_007_199_254_740_992 else { return "\(number)" }
    return grouped(whole)
}

/// A number with a comma before each three digits.
private func grouped(_ number: Int64) -> String {
    var text = ""
    for (index, digit) in String(number.magnitude).reversed().enumerated() {
        if index > 0, index % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return (number < 0 ? "-" : "") + String(text.reversed())
}

/// A number of bytes, in the greatest unit in which it is whole.
private func byteCount(_ bytes: Int) -> String {
    for (unit, size) in [("MiB", 1_048_576), ("KiB", 1024)] where bytes > 0 && bytes % size == 0 {
        return "\(grouped(Int64(bytes / size))) \(unit)"
    }
    return grouped(Int64(bytes)) + (bytes == 1 ? " byte" : " bytes")
}

/// A time in the greatest unit in which it is a whole number, milliseconds at the least.
private func exactDuration(_ duration: Duration) -> String {
    let milliseconds = duration.milliseconds
    let units: [(String, Int64)] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)]
    for (unit, size) in units where milliseconds > 0 && milliseconds % size == 0 {
        return "\(grouped(milliseconds / size)) \(unit)"
    }
    return grouped(milliseconds) + " ms"
}
