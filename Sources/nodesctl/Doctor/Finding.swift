import PairingCore

/// What one check of `nodesctl doctor` came to.
struct Finding: Equatable, Sendable {
    /// How much it matters.
    enum Severity: String, Sendable, CaseIterable {
        /// As it should be.
        case ok
        /// It could not be looked at from here.
        case skipped
        /// It works, and will not always, or for all.
        case warning
        /// Something does not work, or is open to somebody it should not be.
        case error
    }

    /// The check's name, which stays the same from version to version: `nginx.websocket_timeouts`.
    var check: String
    var severity: Severity
    /// What was looked at: a file, a socket, a setting.
    var subject: String
    /// What there is.
    var found: String
    /// What there should be; empty where all is well.
    var expected = ""
    /// What to do; empty where all is well.
    var advice = ""

    static func ok(_ check: String, _ subject: String, _ found: String) -> Finding {
        Finding(check: check, severity: .ok, subject: subject, found: found)
    }

    static func skipped(_ check: String, _ subject: String, _ why: String, advice: String = "") -> Finding {
        Finding(check: check, severity: .skipped, subject: subject, found: why, advice: advice)
    }

    static func warning(
        _ check: String, _ subject: String, found: String, expected: String, advice: String
    ) -> Finding {
        Finding(
            check: check, severity: .warning, subject: subject, found: found, expected: expected,
            advice: advice)
    }

    static func error(
        _ check: String, _ subject: String, found: String, expected: String, advice: String
    ) -> Finding {
        Finding(
            check: check, severity: .error, subject: subject, found: found, expected: expected, advice: advice
        )
    }
}

/// Everything that `nodesctl doctor` found.
struct Diagnosis: Equatable, Sendable {
    var findings: [Finding]

    func count(of severity: Finding.Severity) -> Int { findings.count { $0.severity == severity } }

    /// How the command ends: with 1 where there are errors, or, if it is strict, warnings.
    func status(isStrict: Bool) -> ExitStatus {
        count(of: .error) > 0 || isStrict && count(of: .warning) > 0 ? .failure : .success
    }

    /// For a program.
    var json: JSONValue {
        .object([
            "errors": .integer(Int64(count(of: .error))), "warnings": .integer(Int64(count(of: .warning))),
            "findings": .array(findings.map(\.json)),
        ])
    }

    /// For a person: what is wrong first, what is well last and in a line each.
    var text: String {
        let severities: [Finding.Severity] = [.error, .warning, .skipped, .ok]
        let lines = severities.flatMap { severity in
            findings.filter { $0.severity == severity }.map(\.text)
        }
        return (lines + ["", summary]).joined(separator: "\n")
    }

    private var summary: String {
        let (errors, warnings) = (count(of: .error), count(of: .warning))
        if errors + warnings == 0 { return "Nothing is wrong in what was looked at." }
        return [
            errors > 0 ? "\(errors) error\(errors == 1 ? "" : "s")" : nil,
            warnings > 0 ? "\(warnings) warning\(warnings == 1 ? "" : "s")" : nil,
        ].compactMap { $0 }.joined(separator: ", ") + "."
    }
}

extension Finding {
    fileprivate var json: JSONValue {
        .object([
            "check": .string(check), "severity": .string(severity.rawValue), "subject": .string(subject),
            "found": .string(found), "expected": expected.isEmpty ? .null : .string(expected),
            "advice": advice.isEmpty ? .null : .string(advice),
        ])
    }

    fileprivate var text: String {
        var lines = ["\(severity.rawValue): \(check): \(terminalText(subject)): \(terminalText(found))"]
        if !expected.isEmpty { lines.append("    expected: \(terminalText(expected))") }
        if !advice.isEmpty { lines.append("    do: \(terminalText(advice))") }
        return lines.joined(separator: "\n")
    }
}
