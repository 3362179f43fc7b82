/// One numbered step of the schema.
public struct Migration: Sendable, Hashable {
    /// 1 for the first; no number is left out.
    public let number: Int
    /// What it does, as in its file's name.
    public let name: String
    /// One or more statements; run in one transaction, which they must not end.
    public let sql: String

    /// Describes a step.
    public init(number: Int, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }
}
