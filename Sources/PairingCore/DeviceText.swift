/// Makes a device's text fit to store and to show (I7).
///
/// Removed are control characters, format characters that are invisible or reverse the reading direction,
/// private-use and unassigned ones, and white space at both ends; line breaks and tabs become spaces. The
/// database normalises what is left to NFC.
public func cleanDeviceText(_ text: String, maximumScalars: Int) -> String {
    var cleaned = String.UnicodeScalarView()
    var count = 0
    for scalar in text.unicodeScalars where count < maximumScalars {
        guard let kept = keptScalar(scalar) else { continue }
        if kept == " ", cleaned.isEmpty { continue }
        cleaned.append(kept)
        count += 1
    }
    while cleaned.last == " " { cleaned.removeLast() }
    return String(cleaned)
}

private func keptScalar(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    switch scalar {
    case "\t", "\n", "\r", "\u{2028}", "\u{2029}": return " "
    // Fillers that render as nothing but are letters by category.
    case "\u{115F}", "\u{1160}", "\u{17B4}", "\u{17B5}", "\u{180B}"..."\u{180F}", "\u{3164}", "\u{FFA0}",
        "\u{2800}", "\u{FE00}"..."\u{FE0F}", "\u{E0000}"..."\u{E0FFF}":
        return nil
    default: break
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned: return nil
    case .spaceSeparator: return " "
    default: return scalar
    }
}
