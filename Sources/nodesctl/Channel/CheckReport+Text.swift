import ChannelCheck
import PairingCore

extension CheckReport {
    /// The report for a person.
    var text: String {
        var lines = [library]
        if let identity {
            lines.append(
                "  \(identity.id) \(identity.version) (\(identity.displayName)), ABI \(identity.abi)")
        }
        if let sha256 { lines.append("  SHA-256 \(sha256)") }
        lines.append("")
        let shared = sharedReasons
        for check in checks where !shared.contains(check.seen) { lines += check.lines }
        for reason in shared {
            let names = checks.filter { $0.seen == reason }.map(\.name)
            lines.append("not applicable  \(names.count) checks: \(names.joined(separator: ", "))")
            lines += reason.map { "                  \($0)" }
        }
        lines.append("")
        let counts: [(CheckOutcome, String)] = [
            (.passed, "passed"), (.failed, "failed"), (.warning, "with warnings"),
            (.notApplicable, "not applicable"),
        ]
        lines.append(counts.map { "\(count(of: $0)) \($1)" }.joined(separator: ", ") + ".")
        return lines.map { terminalText($0) }.joined(separator: "\n")
    }

    /// Why several checks were not made, each reason once: told for each check, it would hide the others.
    private var sharedReasons: [[String]] {
        var counts: [[String]: Int] = [:]
        var order: [[String]] = []
        for check in checks where check.outcome == .notApplicable {
            if counts[check.seen] == nil { order.append(check.seen) }
            counts[check.seen, default: 0] += 1
        }
        return order.filter { counts[$0, default: 0] > 1 }
    }

    /// The report for a program.
    var json: JSONValue {
        .object([
            "library": .string(library), "sha256": sha256.map(JSONValue.string) ?? .null,
            "passed": .bool(passed),
            "channel": identity.map {
                .object([
                    "id": .string($0.id), "displayName": .string($0.displayName),
                    "version": .string($0.version), "abi": .string($0.abi),
                ])
            } ?? .null,
            "checks": .array(
                checks.map {
                    .object([
                        "name": .string($0.name), "title": .string($0.title),
                        "outcome": .string($0.outcome.rawValue),
                        "seen": .array($0.seen.map(JSONValue.string)), "promise": .string($0.promise),
                        "advice": .string($0.advice),
                    ])
                }),
            "timings": .array(
                timings.map {
                    .object([
                        "call": .string($0.call), "count": .integer(Int64($0.count)),
                        "medianNs": .integer(Int64(clamping: $0.median)),
                        "p99Ns": .integer(Int64(clamping: $0.p99)),
                        "longestNs": .integer(Int64(clamping: $0.longest)),
                    ])
                }),
        ])
    }
}

extension CheckResult {
    fileprivate var lines: [String] {
        var lines = ["\(word)  \(name): \(title)"]
        lines += seen.map { "                  \($0)" }
        if outcome == .failed || outcome == .warning {
            lines.append("                  The rule: \(promise)")
            lines.append("                  What to do: \(advice)")
        }
        return lines
    }

    private var word: String {
        switch outcome {
        case .passed: "passed        "
        case .failed: "FAILED        "
        case .warning: "warning       "
        case .notApplicable: "not applicable"
        }
    }
}
