/// Why bytes are not acceptable JSON.
public struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where the fault is: the number of bytes before it.
    public let offset: Int
    /// What is wrong or what was expected there; nothing of the text itself.
    public let problem: String

    /// Wraps the two.
    public init(offset: Int, problem: String) {
        self.offset = offset
        self.problem = problem
    }

    /// The problem and its place.
    public var description: String { "\(problem) at byte \(offset)" }
}

/// What a JSON text may hold, so that a hostile one costs no more than its length.
public struct JSONLimits: Sendable, Equatable {
    /// How deep arrays and objects may nest.
    public var depth: Int
    /// How many values there may be in all, counting arrays, objects and what is in them.
    public var values: Int

    /// - Parameters:
    ///   - depth: at most 512; the reader's own stack grows with it.
    public init(depth: Int = 64, values: Int = 65_536) {
        self.depth = depth
        self.values = values
    }
}

/// Reads one JSON text: what ``JSONDocument`` tells of it, or only whether it is one. The one scanner of this package.
///
/// It is used while its bytes are lent.
struct JSONReader {
    let bytes: UnsafeBufferPointer<UInt8>
    let limits: JSONLimits
    let isLenient: Bool
    private let path: [String]
    var position = 0
    private var values = 0
    /// Where the member at the path is.
    private(set) var excerpt: Range<Int>?
    /// Whether there is space between its tokens.
    private(set) var excerptHasSpace = false
    private var hasSpace = false
    private(set) var head: [String: String] = [:]
    private(set) var offsetOfNUL: Int?

    /// A string that begins there holds NUL.
    mutating func holdsNUL(from opening: Int) { offsetOfNUL = offsetOfNUL ?? opening }

    /// - Parameters:
    ///   - path: names of members, from the outermost object inwards, of what is checked and not kept.
    ///   - isLenient: whether a member may be named twice, and a number be too great for a double.
    init(
        bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits, path: [String] = [], isLenient: Bool = false
    ) {
        self.bytes = bytes
        self.limits = limits
        self.path = path
        self.isLenient = isLenient
    }

    mutating func text() throws(JSONSyntaxError) -> JSONValue {
        let value = try value(depth: 0, isOnPath: true)
        try end()
        return value
    }

    /// As ``text()``, and keeps nothing.
    mutating func check() throws(JSONSyntaxError) {
        try skim(depth: 0)
        try end()
    }

    private mutating func end() throws(JSONSyntaxError) {
        skipSpace()
        guard position == bytes.count else { throw expected("the end of the text") }
    }

    func failure(_ problem: String) -> JSONSyntaxError {
        JSONSyntaxError(offset: position, problem: problem)
    }

    func expected(_ what: String) -> JSONSyntaxError { failure("expected \(what)") }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
        while let byte = current, Self.isSpace(byte) {
            position += 1
            hasSpace = true
        }
    }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// - Parameter isOnPath: whether what holds this value is on the way to the excerpt, and this is too.
    private mutating func value(depth: Int, isOnPath: Bool) throws(JSONSyntaxError) -> JSONValue {
        switch try first() {
        case UInt8(ascii: "{"): return try object(depth: depth + 1, isOnPath: isOnPath)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw expected("a JSON value")
        }
    }

    /// Counts a value and finds its first byte.
    mutating func first() throws(JSONSyntaxError) -> UInt8 {
        values += 1
        skipSpace()
        guard values <= limits.values else {
            throw failure(
                "\(extent().values) values, where \(limits.values) are accepted, the first too many")
        }
        guard let first = current else { throw expected("a JSON value") }
        return first
    }

    mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        let end = position + word.utf8CodeUnitCount
        let matches = word.withUTF8Buffer { end <= bytes.count && bytes[position..<end].elementsEqual($0) }
        guard matches else { throw expected("a JSON value") }
        position = end
        return value
    }

    func checkDepth(_ depth: Int) throws(JSONSyntaxError) {
        guard depth <= limits.depth else {
            throw failure(
                "\(extent().depth) levels of nesting, where \(limits.depth) are accepted, the first too deep")
        }
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        try checkDepth(depth)
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take("]") { return .array(elements) }
        while true {
            elements.append(try value(depth: depth, isOnPath: false))
            skipSpace()
            if take("]") { return .array(elements) }
            guard take(",") else { throw expected("',' or ']'") }
        }
    }

    private mutating func object(depth: Int, isOnPath: Bool) throws(JSONSyntaxError) -> JSONValue {
        try checkDepth(depth)
        position += 1
        var members: [String: JSONValue] = [:]
        // Names equivalent to one of the members', in other bytes: a dictionary holds one of them.
        var equivalents: Set<[UInt8]> = []
        skipSpace()
        if take("}") { return .object(members) }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw expected("a member's name in double quotes") }
            let start = position
            let name = try string()
            skipSpace()
            guard take(":") else { throw expected("':'") }
            skipSpace()
            let isOnPath = isOnPath && depth <= path.count && path[depth - 1] == name
            if isOnPath, depth == path.count, excerpt == nil {
                let valueStart = position
                hasSpace = false
                try skim(depth: depth)
                excerpt = valueStart..<position
                excerptHasSpace = hasSpace
                skipSpace()
                if take("}") { return .object(members) }
                guard take(",") else { throw expected("',' or '}'") }
                continue
            }
            if isOnPath, depth == path.count {
                throw JSONSyntaxError(offset: start, problem: "a member named twice in one object")
            }
            let value = try value(depth: depth, isOnPath: isOnPath)
            if let index = members.index(forKey: name) {
                let isSame = members[index].key.utf8.elementsEqual(name.utf8)
                guard !isSame, equivalents.insert(Array(name.utf8)).inserted else {
                    if depth == 1 { head[name] = nil }
                    throw JSONSyntaxError(offset: start, problem: "a member named twice in one object")
                }
            } else {
                members[name] = value
                if depth == 1 { head[name] = value.string }
            }
            skipSpace()
            if take("}") { return .object(members) }
            guard take(",") else { throw expected("',' or '}'") }
        }
    }

    mutating func string() throws(JSONSyntaxError) -> String {
        let opening = position
        position += 1
        var characters: [UInt8] = []
        var runStart = position
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                let run = UnsafeBufferPointer(rebasing: bytes[runStart..<position])
                let text: String?
                if characters.isEmpty {
                    text = String(validating: run, as: UTF8.self)
                } else {
                    characters += run
                    text = String(validating: characters, as: UTF8.self)
                }
                guard let text else {
                    throw JSONSyntaxError(offset: opening, problem: "a string that is not valid UTF-8")
                }
                position += 1
                return text
            case UInt8(ascii: "\\"):
                characters += bytes[runStart..<position]
                position += 1
                let escaped = try escape()
                if escaped.first == 0 { holdsNUL(from: opening) }
                characters += escaped
                runStart = position
            case 0..<0x20: throw failure("a control character that is not escaped")
            default: position += 1
            }
        }
        throw expected("a closing double quote")
    }

    mutating func escape() throws(JSONSyntaxError) -> [UInt8] {
        guard let byte = current else { throw expected("an escape sequence") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(Character(try escapedScalar())).utf8)
        default:
            position -= 1
            throw failure("an unknown escape sequence")
        }
    }

    private mutating func escapedScalar() throws(JSONSyntaxError) -> Unicode.Scalar {
        let start = position
        var value = UInt32(try fourHexDigits())
        if (0xD800...0xDBFF).contains(value), take("\\"), take("u") {
            let low = UInt32(try fourHexDigits())
            if (0xDC00...0xDFFF).contains(low) { value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00) }
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw JSONSyntaxError(offset: start, problem: "half of a surrogate pair")
        }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONSyntaxError) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch current {
            case .some(let byte) where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
                digit = byte - UInt8(ascii: "0")
            case .some(let byte) where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20):
                digit = (byte | 0x20) - UInt8(ascii: "a") + 10
            default: throw expected("four hexadecimal digits")
            }
            value = value << 4 | UInt16(digit)
            position += 1
        }
        return value
    }

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = position
        let isInteger = try numeral()
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        // -0 is another number than 0 to those who read doubles.
        if isInteger, text != "-0", let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw tooGreat(from: start) }
        return String(value) == text ? .number(value) : .numeral(text)
    }

    func tooGreat(from start: Int) -> JSONSyntaxError {
        JSONSyntaxError(offset: start, problem: "a number too great for a double")
    }

    /// - Returns: whether it has neither a fraction nor an exponent.
    mutating func numeral() throws(JSONSyntaxError) -> Bool {
        _ = take("-")
        if !take("0") { try digits() }
        var isInteger = true
        if take(".") {
            isInteger = false
            try digits()
        }
        if current.map({ $0 | 0x20 }) == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if !take("+") { _ = take("-") }
            try digits()
        }
        return isInteger
    }

    private mutating func digits() throws(JSONSyntaxError) {
        let start = position
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw expected("a digit") }
    }
}
