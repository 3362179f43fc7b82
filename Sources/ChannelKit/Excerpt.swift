/// A text that a device sent, as a refusal may quote it: its first 64 characters (Unicode scalars), with an
/// ellipsis where it is longer.
///
/// What a refusal says has a bounded length and goes back to whoever sent the text: quote no more of it.
public func excerpt(_ text: some StringProtocol) -> String {
    let head = text.unicodeScalars.prefix(maximumExcerpt)
    let isWhole = head.endIndex == text.unicodeScalars.endIndex
    return String(String.UnicodeScalarView(head)) + (isWhole ? "" : "…")
}

private let maximumExcerpt = 64
