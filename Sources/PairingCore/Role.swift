/// What an account may do.
public enum Role: String, Sendable, Hashable, CaseIterable {
    /// Everything.
    case administrator
    /// Decides about requests and devices.
    case `operator`
    /// Sees, and changes nothing.
    case viewer
}
