/// Codes of the Unified Code for Units of Measure, case-sensitive form (ucum.org).
///
/// The grammar is UCUM's (§5 to §12): terms joined by `.` and `/`, exponents, parentheses, annotations in
/// braces, metric prefixes. The table has the units that sensors send; a code outside it is refused, as a
/// misspelt one is.
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
        metric.contains(symbol) || others.contains(symbol)
            || prefixes.contains {
                symbol.hasPrefix($0) && metric.contains(String(symbol.dropFirst($0.count)))
            }
    }

    private static let prefixes = [
        "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a", "z", "y",
        "Ki", "Mi", "Gi", "Ti",
    ]

    /// Units that take a prefix.
    private static let metric: Set<String> = [
        "m", "s", "g", "rad", "K", "C", "cd", "mol", "sr", "Hz", "N", "Pa", "J", "W", "A", "V", "F", "Ohm",
        "S", "Wb", "Cel", "T", "H", "lm", "lx", "Bq", "Gy", "Sv", "L", "l", "ar", "t", "bar", "u", "eV", "pc",
        "kat", "U", "cal", "B", "B[V]", "B[mV]", "B[uV]", "B[W]", "B[kW]", "B[SPL]", "Np", "bit", "By", "Bd",
        "dyn", "erg", "P", "St", "Mx", "G", "Oe", "Gb", "sb", "Lmb", "ph", "Ci", "R", "RAD", "REM", "Gal",
        "m[H2O]", "m[Hg]", "eq", "osm", "[iU]", "[IU]", "tex", "g%", "gf", "st",
    ]

    /// Units that stand alone.
    private static let others: Set<String> = [
        "10*", "10^", "[pi]", "%", "[ppth]", "[ppm]", "[ppb]", "[pptr]", "[pH]", "deg", "'", "''", "gon",
        "min", "h", "d", "wk", "mo", "a", "a_j", "a_g", "a_t", "mo_j", "mo_g", "mo_s", "[degF]", "[degR]",
        "[degRe]", "[in_i]", "[ft_i]", "[yd_i]", "[mi_i]", "[nmi_i]", "[kn_i]", "[fth_i]", "[sin_i]",
        "[sft_i]", "[syd_i]", "[cin_i]", "[cft_i]", "[cyd_i]", "[acr_us]", "[gal_us]", "[qt_us]", "[pt_us]",
        "[foz_us]", "[bbl_us]", "[bu_us]", "[gal_br]", "[pt_br]", "[lb_av]", "[oz_av]", "[gr]", "[ston_av]",
        "[lton_av]", "[lbf_av]", "[psi]", "[in_i'H2O]", "[in_i'Hg]", "[Btu]", "[Btu_IT]", "[HP]", "atm",
        "att",
        "AU", "[ly]", "bit_s", "[c]", "[g]", "[e]", "[drp]", "circ", "sph", "[NTU]", "[FNU]", "[m/s2/Hz^0.5]",
    ]
}
