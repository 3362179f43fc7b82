/// Which product this is.
public enum Edition: String, Sendable, Hashable, CaseIterable {
    /// With channels, devices and the pages `/nodes` and `/channels`.
    case standard
    /// The desktop edition: no channels, no devices; pairing methods are refused.
    case lite
}
