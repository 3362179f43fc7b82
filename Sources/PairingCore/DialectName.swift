/// The dialects that may be served.
public enum DialectName: String, Sendable, Hashable, CaseIterable {
    /// This server's own, at `/ws`.
    case nodes
    /// OpenClaw's, at `/`, `/gateway` and `/__openclaw__/gateway`.
    case openclaw
    /// GoClaw's, at `/ws`, told from this server's own by the first frame.
    case goclaw
}
