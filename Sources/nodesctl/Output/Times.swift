import Glibc
import PairingCore

extension Timestamp {
    /// `2026-01-31T23:59:59Z` (RFC 3339), in whole seconds.
    var text: String {
        var seconds = time_t(milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0))
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "\(milliseconds) ms" }
        let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
        let time = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
        return date.map(Self.padded).joined(separator: "-") + "T"
            + time.map(Self.padded).joined(separator: ":") + "Z"
    }

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }

    /// Reads a moment: RFC 3339 with `Z` or an offset (`2026-01-31T23:59:59+01:00`), or milliseconds since
    /// the epoch.
    ///
    /// - Returns: `nil` for anything else, also for a day that does not exist.
    init?(operatorText text: String) {
        if let milliseconds = Int64(text), milliseconds >= 0 {
            self.init(milliseconds: milliseconds)
            return
        }
        let form = /(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:[Zz]|([+-])(\d\d):(\d\d))/
        guard let match = text.wholeMatch(of: form),
            let year = Int32(match.1), let month = Int32(match.2), let day = Int32(match.3),
            let hour = Int32(match.4), let minute = Int32(match.5), let second = Int32(match.6 ?? "0"),
            let offsetHour = Int64(match.8 ?? "0"), let offsetMinute = Int64(match.9 ?? "0"),
            hour < 24, minute < 60, second < 60, offsetHour < 24, offsetMinute < 60
        else { return nil }
        var parts = tm()
        parts.tm_year = year - 1900
        parts.tm_mon = month - 1
        parts.tm_mday = day
        parts.tm_hour = hour
        parts.tm_min = minute
        parts.tm_sec = second
        let seconds = Int64(timegm(&parts))
        // timegm carries a 31st of April over to May and writes that back.
        guard parts.tm_mday == day, parts.tm_mon == month - 1, seconds >= 0 else { return nil }
        let offset = (offsetHour * 60 + offsetMinute) * 60 * (match.7 == "-" ? -1 : 1)
        self.init(milliseconds: (seconds - offset) * 1000)
    }
}
