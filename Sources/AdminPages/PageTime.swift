import PairingCore

/// A moment as a page shows it: in UTC, for the page's script to turn into the reader's zone.
struct PageTime: Equatable {
    /// For `<time datetime>`: `2026-11-22T16:29:54Z`.
    let machine: String
    /// For people: `2026-11-22 16:29 UTC`.
    let text: String

    init(_ moment: Timestamp) {
        let seconds = moment.milliseconds.floorDivided(by: 1000)
        let day = seconds.floorDivided(by: 86_400)
        let second = Int(seconds - day * 86_400)
        let date = Self.date(ofDay: day)
        let clock = "\(two(second / 3600)):\(two(second / 60 % 60))"
        machine = "\(date)T\(clock):\(two(second % 60))Z"
        text = "\(date) \(clock) UTC"
    }

    /// The beginning of a day in UTC, written as `2026-11-22`.
    ///
    /// - Returns: `nil` where there is no such day.
    static func day(_ text: String) -> Timestamp? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, let year = Int64(parts[0]),
            let month = Int64(parts[1]),
            let day = Int64(parts[2]), (1...12).contains(month), (1...31).contains(day), year >= 1970
        else { return nil }
        // The inverse of `date(ofDay:)`; a day that does not exist comes back as another.
        let fromMarch = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = fromMarch * 365 + fromMarch / 4 - fromMarch / 100 + fromMarch / 400 + dayOfYear - 719_468
        guard date(ofDay: days) == text else { return nil }
        return Timestamp(milliseconds: days * 86_400_000)
    }

    /// The date of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
    ///
    /// Counts years from March, so that the leap day is a year's last day, in eras of 400 years, which are
    /// all of 146,097 days.
    private static func date(ofDay day: Int64) -> String {
        let fromMarch = day + 719_468
        let era = fromMarch.floorDivided(by: 146_097)
        let dayOfEra = fromMarch - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return "\(two(Int(year / 100)))\(two(Int(year % 100)))-\(two(Int(month)))-\(two(Int(dayOfMonth)))"
    }
}

/// A length of time in its greatest unit, such as `3 min`; less than a minute is in seconds.
func briefDuration(_ duration: Duration) -> String {
    let seconds = max(0, duration.components.seconds)
    return switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min"
    case ..<86_400: "\(seconds / 3600) h"
    default: "\(seconds / 86_400) d"
    }
}

private func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
