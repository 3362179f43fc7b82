import ArgumentParser
import NodesProcess
import PairingCore
import PairingStore
import Postgres

/// `nodesctl migrate`
struct MigrateCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database's schema up to date.",
        discussion: "The servers do the same at their start. Any number of them may try at once.")
    static let acceptsOldSchema = true

    @OptionGroup var options: OperatorOptions

    @Flag(help: "Only say which steps are applied and which are not.")
    var status = false

    func run(at desk: Desk) async throws {
        let runner = MigrationRunner(migrations: Schema.migrations)
        if status {
            let status = try await runner.status(desk.process.pool)
            var table = TextTable("STEP", "STATE")
            for name in status.applied { table.add(name, "applied") }
            for name in status.pending { table.add(name, "pending") }
            try desk.print(
                .object(["applied": .names(status.applied), "pending": .names(status.pending)]), table.text)
        } else {
            let applied = try await runner.migrate(desk.process.pool)
            try desk.print(
                .object(["applied": .names(applied)]),
                applied.isEmpty
                    ? "The schema is up to date."
                    : "Applied \(applied.joined(separator: ", ")). The schema is up to date.")
        }
    }
}

extension JSONValue {
    fileprivate static func names(_ names: [String]) -> JSONValue { .array(names.map(JSONValue.string)) }
}
