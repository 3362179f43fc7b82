/// Checking what is not kept, by the same rules.
extension JSONReader {
    mutating func skim(depth: Int) throws(JSONSyntaxError) {
        switch try first() {
        case UInt8(ascii: "{"): try skimObject(depth: depth + 1)
        case UInt8(ascii: "["): try skimArray(depth: depth + 1)
        case UInt8(ascii: "\""): try skimString()
        case UInt8(ascii: "t"): _ = try word("true", .null)
        case UInt8(ascii: "f"): _ = try word("false", .null)
        case UInt8(ascii: "n"): _ = try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try skimNumber()
        default: throw expected("a JSON value")
        }
    }

    private mutating func skimArray(depth: Int) throws(JSONSyntaxError) {
        try checkDepth(depth)
        position += 1
        skipSpace()
        if take("]") { return }
        while true {
            try skim(depth: depth)
            skipSpace()
            if take("]") { return }
            guard take(",") else { throw expected("',' or ']'") }
        }
    }

    private mutating func skimObject(depth: Int) throws(JSONSyntaxError) {
        try checkDepth(depth)
        position += 1
        var names = Names()
        skipSpace()
        if take("}") { return }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw expected("a member's name in double quotes") }
            let start = position
            if isLenient {
                try skimString()
            } else if !names.insert(try string()) {
                throw JSONSyntaxError(offset: start, problem: "a member named twice in one object")
            }
            skipSpace()
            guard take(":") else { throw expected("':'") }
            try skim(depth: depth)
            skipSpace()
            if take("}") { return }
            guard take(",") else { throw expected("',' or '}'") }
        }
    }

    private mutating func skimString() throws(JSONSyntaxError) {
        let opening = position
        position += 1
        var isASCII = true
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                let text = UnsafeBufferPointer(rebasing: bytes[opening..<position])
                guard isASCII || String(validating: text, as: UTF8.self) != nil else {
                    throw JSONSyntaxError(offset: opening, problem: "a string that is not valid UTF-8")
                }
                position += 1
                return
            case UInt8(ascii: "\\"):
                position += 1
                if try escape().first == 0 { holdsNUL(from: opening) }
            case 0..<0x20: throw failure("a control character that is not escaped")
            case 0x80...:
                isASCII = false
                position += 1
            default: position += 1
            }
        }
        throw expected("a closing double quote")
    }

    private mutating func skimNumber() throws(JSONSyntaxError) {
        let start = position
        let isInteger = try numeral()
        // Digits alone are too many for a double only beyond 308.
        if isLenient || isInteger && position - start <= 300 { return }
        guard Double(String(decoding: bytes[start..<position], as: UTF8.self))?.isFinite == true else {
            throw tooGreat(from: start)
        }
    }
}

/// The names of one object's members, by their bytes.
private struct Names {
    private var few: [String] = []
    private var many: Set<[UInt8]> = []

    /// - Returns: `false` where it is there already.
    mutating func insert(_ name: String) -> Bool {
        guard many.isEmpty else { return many.insert(Array(name.utf8)).inserted }
        if few.contains(where: { $0.utf8.elementsEqual(name.utf8) }) { return false }
        few.append(name)
        if few.count == 16 { many = Set(few.map { Array($0.utf8) }) }
        return true
    }
}

/// JSON texts that go on as they are.
public enum JSONText {
    /// Whether the bytes are one JSON value (RFC 8259) that the database can keep: UTF-8, without NUL and lone
    /// surrogates in strings, nested as deep as everything else that is read. Nothing is copied or kept, so that
    /// neither the number of its values nor that of its digits matters.
    public static func isValue(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.withMemoryRebound(to: UInt8.self) { bytes in
            var reader = JSONReader(bytes: bytes, limits: JSONLimits(values: .max), isLenient: true)
            do throws(JSONSyntaxError) { try reader.check() } catch { return false }
            return reader.offsetOfNUL == nil
        }
    }

    /// Whether the bytes are one JSON object, as ``isValue(_:)`` says.
    public static func isObject(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.first { !JSONReader.isSpace($0) } == UInt8(ascii: "{") && isValue(bytes)
    }
}
