import PairingCore

/// Checks that bytes are one JSON value (RFC 8259) that the database can keep: UTF-8, no NUL and no lone
/// surrogate in a string, nested as deep as everything else that is read.
///
/// Not `JSONValue`'s reader: it copies nothing and keeps nothing, as a plugin's text goes on as it is. What a device
/// sends is read by that one.
package struct JSONCheck {
    private let bytes: UnsafeRawBufferPointer
    private var index = 0
    private static let maximumDepth = JSONLimits().depth

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether the bytes are one JSON value.
    package static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var check = JSONCheck(bytes)
        return check.whole()
    }

    /// Whether the bytes are one JSON object.
    package static func isObject(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var check = JSONCheck(bytes)
        check.skipSpace()
        return check.peek == UInt8(ascii: "{") && check.whole()
    }

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func whole() -> Bool {
        guard value(depth: 0) else { return false }
        skipSpace()
        return index == bytes.count && String(validating: bytes, as: UTF8.self) != nil
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        index += 1
        return true
    }

    private mutating func value(depth: Int) -> Bool {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return list(closedBy: UInt8(ascii: "}"), isObject: true, depth: depth)
        case UInt8(ascii: "["): return list(closedBy: UInt8(ascii: "]"), isObject: false, depth: depth)
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return word("true")
        case UInt8(ascii: "f"): return word("false")
        case UInt8(ascii: "n"): return word("null")
        default: return number()
        }
    }

    private mutating func list(closedBy end: UInt8, isObject: Bool, depth: Int) -> Bool {
        guard depth < Self.maximumDepth else { return false }
        index += 1
        skipSpace()
        if take(end) { return true }
        while true {
            if isObject {
                skipSpace()
                guard string() else { return false }
                skipSpace()
                guard take(UInt8(ascii: ":")) else { return false }
            }
            guard value(depth: depth + 1) else { return false }
            skipSpace()
            if take(end) { return true }
            guard take(UInt8(ascii: ",")) else { return false }
        }
    }

    private mutating func word(_ word: StaticString) -> Bool {
        guard bytes.count - index >= word.utf8CodeUnitCount else { return false }
        for offset in 0..<word.utf8CodeUnitCount where bytes[index + offset] != word.utf8Start[offset] {
            return false
        }
        index += word.utf8CodeUnitCount
        return true
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { guard digits() else { return false } }
        if take(UInt8(ascii: ".")) { guard digits() else { return false } }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = index
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        return index > start
    }

    private mutating func string() -> Bool {
        guard take(UInt8(ascii: "\"")) else { return false }
        while let byte = peek {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"): guard escape() else { return false }
            default: continue
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let byte = peek else { return false }
        index += 1
        guard byte == UInt8(ascii: "u") else { return #""\/bfnrt"#.utf8.contains(byte) }
        guard let unit = hexadecimal(), unit != 0 else { return false }
        switch unit {
        case 0xD800..<0xDC00:
            guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")), let low = hexadecimal() else {
                return false
            }
            return (0xDC00..<0xE000).contains(low)
        case 0xDC00..<0xE000: return false
        default: return true
        }
    }

    private mutating func hexadecimal() -> UInt16? {
        guard bytes.count - index >= 4 else { return nil }
        var unit: UInt16 = 0
        for _ in 0..<4 {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                unit = unit << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"):
                unit = unit << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return unit
    }
}
