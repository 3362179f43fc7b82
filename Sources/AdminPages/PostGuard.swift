import PairingCore

/// Whether a form was sent by a page of this site, as far as the browser says (Fetch §3.2, Fetch Metadata
/// §2.1). The CSRF token is checked besides.
///
/// - Parameters:
///   - origin: the `Origin` header. Every browser sends it with a form; a client that sends none is not
///     a browser.
///   - fetchSite: the `Sec-Fetch-Site` header; no page's script can set it.
func isSentFromThisSite(origin: String?, fetchSite: String?, origins: OriginPolicy) -> Bool {
    guard origins.allows(originHeader: origin) else { return false }
    switch fetchSite {
    case nil, "same-origin", "none": return true
    default: return false
    }
}
