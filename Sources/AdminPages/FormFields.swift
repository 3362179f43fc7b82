/// Why the fields of a query or a form were not accepted.
enum FormFault: Error, Equatable {
    /// So many bytes, more than ``FormFields/maximumBytes``.
    case tooLong(bytes: Int)
    /// More fields than these.
    case tooMany(most: Int)
    /// A stray `%`, bytes that are not UTF-8, or a NUL, in the field of this name, as it was sent.
    case malformed(field: String)
    /// The same name twice: which of the two was checked and which was used would be a matter of luck.
    case repeated(field: String)
}

/// The fields of an `application/x-www-form-urlencoded` text (WHATWG URL §5.1), read strictly.
///
/// Where the standard's parser repairs, this one refuses.
struct FormFields: Equatable {
    /// Greatest length of the encoded text: a password of 1024 bytes takes 3 KiB at most.
    static let maximumBytes = 16 * 1024
    /// Greatest number of fields, where no other is said.
    static let maximumCount = 16

    private let values: [String: String]

    /// Reads the encoded text; an empty one has no fields.
    ///
    /// - Parameter maximumCount: the most fields.
    init(
        _ encoded: some Collection<UInt8>, maximumCount: Int = FormFields.maximumCount
    ) throws(FormFault) {
        guard encoded.count <= Self.maximumBytes else { throw .tooLong(bytes: encoded.count) }
        var values: [String: String] = [:]
        let fields = encoded.split(separator: UInt8(ascii: "&"), maxSplits: maximumCount)
        guard fields.count <= maximumCount else { throw .tooMany(most: maximumCount) }
        for field in fields {
            let end = field.firstIndex(of: UInt8(ascii: "=")) ?? field.endIndex
            let value = end == field.endIndex ? field[end...] : field[field.index(after: end)...]
            guard let name = percentDecoded(field[..<end], plusIsSpace: true),
                let text = percentDecoded(value, plusIsSpace: true)
            else { throw .malformed(field: String(decoding: field[..<end].prefix(64), as: UTF8.self)) }
            guard values.updateValue(text, forKey: name) == nil else { throw .repeated(field: name) }
        }
        self.values = values
    }

    /// The fields whose names begin so, by what follows that, in its order.
    func named(_ prefix: String) -> [(name: String, value: String)] {
        values.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) }
            .sorted { $0.0 < $1.0 }
    }

    /// The field's value; `nil` where there is none of that name.
    subscript(name: String) -> String? { values[name] }
}

/// Undoes percent-encoding (RFC 3986 §2.1).
///
/// - Parameter plusIsSpace: whether `+` stands for a space, as it does in forms and queries only.
/// - Returns: `nil` for a stray `%`, bytes that are not UTF-8, or a NUL.
func percentDecoded(_ encoded: some Collection<UInt8>, plusIsSpace: Bool) -> String? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encoded.count)
    var rest = encoded.makeIterator()
    while let byte = rest.next() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = rest.next().flatMap(hexadecimalValue),
                let low = rest.next().flatMap(hexadecimalValue), high | low != 0
            else { return nil }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
        case 0: return nil
        default: bytes.append(byte)
        }
    }
    return String(validating: bytes, as: UTF8.self)
}

/// Percent-encodes everything but RFC 3986's unreserved characters, for a path segment or a query value.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            encoded.append(byte)
        default:
            encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: encoded, as: UTF8.self)
}

private func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
