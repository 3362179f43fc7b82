/// The statements a connection has prepared, by text and parameter types.
struct PreparedStatements {
    /// How many the server keeps for a connection before all are dropped.
    static let capacity = 256

    private struct Key: Hashable {
        let sql: String
        let types: [UInt32]

        init(_ statement: Statement) {
            sql = statement.sql
            types = statement.parameters.types
        }
    }

    private var names: [Key: String] = [:]
    private var counter = 0

    func hasRoom(for count: Int) -> Bool { names.count + count <= Self.capacity }

    /// - Returns: the statement's name, and whether it is still to be prepared under it. No name is given twice.
    mutating func use(_ statement: Statement) -> (name: String, isNew: Bool) {
        let key = Key(statement)
        if let name = names[key] { return (name, false) }
        let name = "s\(counter)"
        counter += 1
        names[key] = name
        return (name, true)
    }

    mutating func forget(_ statement: Statement) { names[Key(statement)] = nil }

    mutating func removeAll() { names.removeAll() }
}
