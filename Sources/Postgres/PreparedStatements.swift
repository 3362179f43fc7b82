/// The statements a connection has prepared, by text and parameter types.
struct PreparedStatements {
    /// How many the server keeps for a connection before all are dropped.
    static let capacity = 256

    private struct Key: Hashable {
        let sql: String
        let types: [UInt32]
    }

    private var names: [Key: String] = [:]
    private var counter = 0

    var isFull: Bool { names.count >= Self.capacity }

    /// The name that `add` gives next; never used before on this connection.
    var nextName: String { "s\(counter)" }

    func name(of sql: String, _ types: [UInt32]) -> String? { names[Key(sql: sql, types: types)] }

    mutating func add(_ sql: String, _ types: [UInt32]) {
        names[Key(sql: sql, types: types)] = nextName
        counter += 1
    }

    /// Whether it was known.
    mutating func forget(_ sql: String, _ types: [UInt32]) -> Bool {
        names.removeValue(forKey: Key(sql: sql, types: types)) != nil
    }

    mutating func removeAll() { names.removeAll() }
}
