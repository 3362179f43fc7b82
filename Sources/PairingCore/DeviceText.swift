/// Makes a device's text fit to store and to show (I7).
///
/// Removed are control characters, format characters that are invisible or reverse the reading direction,
/// private-use and unassigned ones, all marks of a letter beyond four, and white space at both ends;
/// line breaks and tabs become spaces. The database normalises what is left to NFC.
public func cleanDeviceText(_ text: String, maximumScalars: Int) -> String {
    var cleaned = String.UnicodeScalarView()
    var count = 0
    var marks = 0
    for scalar in text.unicodeScalars where count < maximumScalars {
        guard let kept = keptScalar(scalar) else { continue }
        marks = isMark(kept) ? marks + 1 : 0
        if marks > maximumMarks { continue }
        if kept == " ", cleaned.isEmpty { continue }
        cleaned.append(kept)
        count += 1
    }
    while cleaned.last == " " { cleaned.removeLast() }
    return String(cleaned)
}

/// How many marks a letter keeps. Vietnamese needs two, Hebrew with points and accents three or four, Tibetan
/// four; more of them paint over the lines above and below.
private let maximumMarks = 4

private func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .spacingMark: true
    default: false
    }
}

private func keptScalar(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
    switch scalar {
    case "\t", "\n", "\r", "\u{2028}", "\u{2029}": return " "
    // A Braille pattern without dots: it renders as nothing, but no property says so.
    case "\u{2800}": return nil
    // Joiners, fillers, variation selectors and tags, whatever their category (UAX #44).
    case _ where scalar.properties.isDefaultIgnorableCodePoint: return nil
    default: break
    }
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned: return nil
    case .spaceSeparator: return " "
    default: return scalar
    }
}
