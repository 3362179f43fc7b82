import CGoClawChannel
import PairingCore

// What a plugin declares, out of its record.
extension ChannelDeclarations {
    private static let day: UInt64 = 86_400_000
    private static let maximumPeriods = 8

    /// What makes no sense in the description at an address that is aligned for it; `nil` where all does.
    package static func problem(inDescriptionAt address: UnsafeRawPointer) -> String? {
        guard let record = read(address.assumingMemoryBound(to: goclaw_description.self)) else { return nil }
        do throws(DeclarationProblem) {
            _ = try ChannelDeclarations(record)
            return nil
        } catch {
            return error.rule
        }
    }

    /// - Throws: what makes no sense.
    init(_ record: goclaw_description) throws(DeclarationProblem) {
        let year = 366 * Self.day
        guard record.batch_messages <= 1000 else {
            throw DeclarationProblem("has batch_messages \(record.batch_messages), expected up to 1,000")
        }
        guard record.batch_ms <= Self.day, record.batch_ms == 0 || record.batch_messages > 0 else {
            throw DeclarationProblem(
                "has batch_ms \(record.batch_ms), expected up to a day, with batch_messages")
        }
        guard record.command_lifetime_ms <= year else {
            throw DeclarationProblem(
                "has command_lifetime_ms \(record.command_lifetime_ms), expected up to a year")
        }
        self.init()
        silencePeriods = try Self.periods(record.silence_periods_ms, count: record.silence_count)
        if record.push_hook.len > 0 {
            guard let name = record.push_hook.copyName() else {
                throw DeclarationProblem("has a push_hook that is not [a-z][a-z0-9_]{0,63}")
            }
            pushHook = name
        }
        func duration(_ milliseconds: UInt64) -> Duration? {
            milliseconds == 0 ? nil : .milliseconds(Int64(milliseconds))
        }
        batchMessages = record.batch_messages == 0 ? nil : Int(record.batch_messages)
        batchTime = duration(record.batch_ms)
        commandLifetime = duration(record.command_lifetime_ms)
        typing = Int(record.flags) & GOCLAW_DESCRIPTION_TYPING != 0
    }

    /// Reads silence periods.
    ///
    /// - Throws: what makes no sense.
    package static func periods(
        _ start: UnsafePointer<UInt64>?, count: UInt32
    ) throws(DeclarationProblem) -> [Duration] {
        if count == 0 { return [] }
        guard count <= maximumPeriods, let start,
            UInt(bitPattern: start) % UInt(MemoryLayout<UInt64>.alignment) == 0
        else {
            throw DeclarationProblem("has \(count) silence periods, expected up to 8 at silence_periods_ms")
        }
        let periods = Array(UnsafeBufferPointer(start: start, count: Int(count)))
        guard periods.allSatisfy({ (1...366 * day).contains($0) }),
            zip(periods, periods.dropFirst()).allSatisfy(<)
        else {
            throw DeclarationProblem(
                "has silence periods \(periods), expected each greater than the one before, up to a year")
        }
        return periods.map { .milliseconds(Int64($0)) }
    }
}

/// What a declaration breaks, such as `has batch_messages 2000, expected up to 1,000`.
package struct DeclarationProblem: Error {
    package let rule: String

    init(_ rule: String) { self.rule = rule }
}
