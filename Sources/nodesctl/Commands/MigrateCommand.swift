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

    @Option(
        help: "Then give this role what the servers need, where they do not connect as the tables' owner.")
    var grantTo: String?

    func validate() throws {
        guard !(status && grantTo != nil) else {
            throw ValidationError("Give either --status, which changes nothing, or --grant-to.")
        }
    }

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
            if let grantTo { try await PairingStore(pool: desk.process.pool).grant(to: grantTo) }
            let granted =
                grantTo.map { " The role \(terminalText($0)) has the rights that the servers need." } ?? ""
            try desk.print(
                .object(["applied": .names(applied), "grantedTo": grantTo.map(JSONValue.string) ?? .null]),
                (applied.isEmpty ? "" : "Applied \(applied.joined(separator: ", ")). ")
                    + "The schema is up to date." + granted)
        }
    }
}

extension JSONValue {
    fileprivate static func names(_ names: [String]) -> JSONValue { .array(names.map(JSONValue.string)) }
}
