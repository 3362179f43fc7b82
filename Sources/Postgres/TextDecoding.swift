/// PostgreSQL's text formats, as they are under the settings every connection makes (ISO dates, UTC, hex bytea).
///
/// Each function answers `nil` for what isn't of its format.
enum TextDecoding {
    static func number<Number: LosslessStringConvertible>(_ value: ArraySlice<UInt8>) -> Number? {
        String(validating: value, as: UTF8.self).flatMap { Number($0) }
    }

    static func bool(_ value: ArraySlice<UInt8>) -> Bool? {
        switch (value.count, value.first) {
        case (1, UInt8(ascii: "t")): true
        case (1, UInt8(ascii: "f")): false
        default: nil
        }
    }

    /// `\x` and two hexadecimal digits a byte.
    static func bytea(_ value: ArraySlice<UInt8>) -> [UInt8]? {
        guard value.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "x")]), value.count.isMultiple(of: 2)
        else {
            return nil
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(value.count / 2 - 1)
        var high: UInt8?
        for character in value.dropFirst(2) {
            guard let digit = hexDigit(character) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return bytes
    }

    private static func hexDigit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// `2026-01-31 12:34:56.789012+00`, perhaps with ` BC`: milliseconds since 1970, rounded down.
    static func timestamp(_ value: ArraySlice<UInt8>) -> Int64? {
        var scanner = Scanner(rest: value)
        guard var year = scanner.digits(), scanner.skip("-"), let month = scanner.digits(), scanner.skip("-"),
            let day = scanner.digits(), scanner.skip(" "), let hour = scanner.digits(), scanner.skip(":"),
            let minute = scanner.digits(), scanner.skip(":"), let second = scanner.digits()
        else { return nil }
        let milliseconds = scanner.skip(".") ? scanner.fraction() : 0
        guard let milliseconds, scanner.skip("+"), scanner.digits() == 0 else { return nil }
        if scanner.skip(" BC") { year = 1 - year }
        guard scanner.rest.isEmpty else { return nil }
        let days = daysSinceEpoch(year: year, month: month, day: day)
        return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milliseconds
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar: whole 400-year cycles, then the days of a year
    /// counted from 1 March, so that a leap day comes last.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let cycle = (year >= 0 ? year : year - 399) / 400
        let yearOfCycle = year - cycle * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
        return cycle * 146_097 + dayOfCycle - 719_468
    }

    /// `{plain,"quoted, with \" and \\"}`; `nil` for nested arrays and for NULL elements.
    static func texts(_ value: ArraySlice<UInt8>) -> [String]? {
        guard value.first == UInt8(ascii: "{"), value.last == UInt8(ascii: "}"), value.count >= 2 else {
            return nil
        }
        var scanner = Scanner(rest: value.dropFirst().dropLast())
        if scanner.rest.isEmpty { return [] }
        var elements: [String] = []
        repeat {
            guard let element = scanner.arrayElement(), let text = String(validating: element, as: UTF8.self)
            else {
                return nil
            }
            elements.append(text)
        } while scanner.skip(",")
        return scanner.rest.isEmpty ? elements : nil
    }

    private struct Scanner {
        var rest: ArraySlice<UInt8>

        mutating func skip(_ expected: StaticString) -> Bool {
            let matches = expected.withUTF8Buffer { rest.starts(with: $0) }
            if matches { rest = rest.dropFirst(expected.utf8CodeUnitCount) }
            return matches
        }

        /// Up to nine decimal digits.
        mutating func digits() -> Int64? {
            let run = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard (1...9).contains(run.count) else { return nil }
            rest = rest.dropFirst(run.count)
            return run.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        }

        /// The digits after the point, as whole milliseconds.
        mutating func fraction() -> Int64? {
            let length = rest.count
            guard let digits = digits() else { return nil }
            let scale = (0..<(length - rest.count)).reduce(Int64(1)) { scale, _ in scale * 10 }
            return digits * 1000 / scale
        }

        mutating func arrayElement() -> [UInt8]? {
            guard skip("\"") else {
                let plain = rest.prefix { $0 != UInt8(ascii: ",") }
                guard !plain.isEmpty, !plain.contains(UInt8(ascii: "{")), !plain.elementsEqual("NULL".utf8)
                else {
                    return nil
                }
                rest = rest.dropFirst(plain.count)
                return Array(plain)
            }
            var element: [UInt8] = []
            while !rest.isEmpty {
                if skip("\"") { return element }
                if skip("\\"), rest.isEmpty { return nil }
                element.append(rest.removeFirst())
            }
            return nil
        }
    }
}
