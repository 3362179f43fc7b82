/// What came of checking a channel's library.
public struct CheckReport: Sendable {
    /// The library's path, as it was given.
    public var library: String
    /// The library's SHA-256, 64 hexadecimal digits; `nil` where the file could not be read.
    public var sha256: String?
    /// Who the library says it is; `nil` where it did not come to that.
    public var identity: CheckedIdentity?
    /// The checks, in the order in which they were made.
    public var checks: [CheckResult] = []
    /// How long the calls took.
    public var timings: [CallTiming] = []

    /// Whether no check failed. Warnings do not count.
    public var passed: Bool { !checks.contains { $0.outcome == .failed } }

    /// How many checks came out that way.
    public func count(of outcome: CheckOutcome) -> Int { checks.count { $0.outcome == outcome } }
}

/// Who a library says it is.
public struct CheckedIdentity: Codable, Sendable, Equatable {
    /// The channel's ID.
    public var id: String
    /// For people.
    public var displayName: String
    /// The channel's own version.
    public var version: String
    /// The version of the ABI, such as `1.0`.
    public var abi: String
}

/// How a check came out.
public enum CheckOutcome: String, Codable, Sendable {
    /// Nothing was found.
    case passed
    /// A promise of the header is broken.
    case failed
    /// Something to look at, which breaks no promise, or could not be told for certain.
    case warning
    /// There was nothing to check.
    case notApplicable = "not applicable"
}

/// One check and what was seen.
public struct CheckResult: Sendable {
    /// What the check is called, such as `review.hostile`.
    public var name: String
    /// What was checked: a sentence about the plugin that is true where the check passes.
    public var title: String
    /// How it came out.
    public var outcome: CheckOutcome
    /// What was seen, a sentence each, the failures first.
    public var seen: [String]
    /// What goclaw_channel.h promises.
    public var promise: String
    /// What to do where it failed.
    public var advice: String
}

/// How long one kind of call took.
public struct CallTiming: Codable, Sendable, Equatable {
    /// The call, by its name in the table.
    public var call: String
    /// How many were measured.
    public var count: Int
    /// In nanoseconds.
    public var median: UInt64
    /// Of a hundred calls, ninety-nine took no longer; in nanoseconds.
    public var p99: UInt64
    /// In nanoseconds.
    public var longest: UInt64
}

/// What a check has found so far.
struct Findings: Codable, Sendable {
    /// More of a kind are counted, not kept.
    static let maximum = 6

    /// A sentence, where it was first seen, and how often after that.
    private struct Failure: Codable, Sendable {
        var sentence: String
        var context: String?
        var more = 0

        var text: String {
            guard let context else { return sentence }
            let others = more == 0 ? "" : more == 1 ? ", and once more" : ", and \(more) times more"
            return
                "\(sentence.hasSuffix(".") ? String(sentence.dropLast()) : sentence) (\(context)\(others))."
        }
    }

    private var failures: [Failure] = []
    private var warnings: [String] = []
    private var notes: [String] = []
    private var moreFailures = 0
    /// Why there was nothing to check.
    var notApplicable: String?

    /// - Parameter context: where it was seen; the same elsewhere is only counted.
    mutating func fail(_ sentence: String, _ context: String? = nil) {
        if let index = failures.firstIndex(where: { $0.sentence == sentence }) {
            failures[index].more += 1
        } else if failures.count < Self.maximum {
            failures.append(Failure(sentence: sentence, context: context))
        } else {
            moreFailures += 1
        }
    }

    mutating func warn(_ sentence: String) {
        if warnings.count < Self.maximum, !warnings.contains(sentence) { warnings.append(sentence) }
    }

    mutating func note(_ sentence: String) {
        if notes.count < Self.maximum, !notes.contains(sentence) { notes.append(sentence) }
    }

    /// How much was found, notes left aside.
    var count: Int { failures.count + warnings.count }

    var outcome: CheckOutcome {
        if !failures.isEmpty { return .failed }
        if notApplicable != nil { return .notApplicable }
        return warnings.isEmpty ? .passed : .warning
    }

    var seen: [String] {
        failures.map(\.text) + (moreFailures > 0 ? ["\(moreFailures) more of this kind."] : []) + warnings
            + (notApplicable.map { [$0] } ?? []) + notes
    }
}
