/// Codes of the Unified Code for Units of Measure, case-sensitive form (ucum.org).
///
/// The grammar is UCUM's (§5 to §12): terms joined by `.` and `/`, exponents, parentheses, annotations in
/// braces, metric prefixes. A code that is not one of ``UCUMCodes`` is refused, as a misspelt one is.
struct UCUM {
    private var rest: Substring.UTF8View

    /// Whether the text is a unit's code.
    static func isUnit(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return false
        }
        var parser = UCUM(rest: Substring(text).utf8)
        return parser.mainTerm() && parser.rest.isEmpty
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func mainTerm() -> Bool {
        _ = take("/")
        return term(depth: 0)
    }

    private mutating func term(depth: Int) -> Bool {
        repeat {
            guard component(depth: depth) else { return false }
        } while take(".") || take("/")
        return true
    }

    private mutating func component(depth: Int) -> Bool {
        if take("(") { return depth < 8 && term(depth: depth + 1) && take(")") }
        if rest.first == UInt8(ascii: "{") { return annotation() }
        guard factor() || unit() else { return false }
        return rest.first == UInt8(ascii: "{") ? annotation() : true
    }

    private mutating func annotation() -> Bool {
        guard take("{"), let end = rest.firstIndex(of: UInt8(ascii: "}")) else { return false }
        let isNested = rest[..<end].contains(UInt8(ascii: "{"))
        rest = rest[rest.index(after: end)...]
        return !isNested
    }

    /// A whole number by itself, such as the 1 of a plain number.
    private mutating func factor() -> Bool {
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        let after = rest.dropFirst(digits.count)
        // `10*` and `10^` are units of their own.
        guard !digits.isEmpty, after.first != UInt8(ascii: "*"), after.first != UInt8(ascii: "^") else {
            return false
        }
        rest = after
        return true
    }

    private mutating func unit() -> Bool {
        let symbol = self.symbol()
        guard let text = String(symbol), Self.isAtom(text) else { return false }
        rest = rest.dropFirst(symbol.count)
        return exponent()
    }

    /// What stands before an exponent, an operator or an annotation.
    private func symbol() -> Substring.UTF8View {
        if rest.starts(with: "10*".utf8) || rest.starts(with: "10^".utf8) { return rest.prefix(3) }
        var isInBrackets = false
        return rest.prefix { byte in
            switch byte {
            case UInt8(ascii: "["): isInBrackets = true
            case UInt8(ascii: "]"): isInBrackets = false
            case _ where isInBrackets: break
            case UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "("), UInt8(ascii: ")"),
                UInt8(ascii: "{"), UInt8(ascii: "+"), UInt8(ascii: "-"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                return false
            default: break
            }
            return true
        }
    }

    private mutating func exponent() -> Bool {
        let isSigned = take("+") || take("-")
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        rest = rest.dropFirst(digits.count)
        return digits.count <= 2 && !(isSigned && digits.isEmpty)
    }

    private static func isAtom(_ symbol: String) -> Bool {
        UCUMCodes.metric.contains(symbol) || UCUMCodes.others.contains(symbol)
            || UCUMCodes.prefixes.contains {
                symbol.hasPrefix($0) && UCUMCodes.metric.contains(String(symbol.dropFirst($0.count)))
            }
    }
}
