import ArgumentParser
import Logging
import NodesProcess
import PairingCore
import PairingKernel
import PairingStore
import Postgres
import UnixSignals

/// `nodesctl events`
struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "The record of what happened.", subcommands: [Follow.self])

    /// `nodesctl events follow`
    struct Follow: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "follow", abstract: "Print events as they happen, each once and in order.",
            discussion: """
                Goes on by itself after the database was away. When interrupted it says on standard error which \
                position to continue from.
                """)

        @OptionGroup var options: OperatorOptions

        @Option(
            help: "Begin after this position, 0 for everything; without it, with what happens from now on.",
            transform: { try readNumber($0, "0 or a position that was printed") })
        var from: Int64?

        func run(at desk: Desk) async throws {
            let start: Int64
            if let from { start = from } else { start = try await desk.kernel.feed.newestPosition() }
            let printer = EventPrinter(after: start, json: options.json)
            let listener = PostgresListener(
                configuration: desk.process.database, channels: StoreHints.channels,
                logger: desk.process.logger)
            let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
            let result: Result<Void, any Error>
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await listener.run() }
                    group.addTask {
                        for await _ in signals { return }
                    }
                    group.addTask {
                        try await desk.kernel.feed.follow(
                            after: start, hints: StoreHints(listener),
                            restored: { await printer.restored(to: $0) }
                        ) {
                            try await printer.print($0)
                        }
                    }
                    // Whatever ends first ends it all: a signal, or a reader of the output that is gone.
                    defer { group.cancelAll() }
                    try await group.next()
                }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            Terminal.complain("Continue with --from \(await printer.position).")
            try result.get()
        }
    }
}

/// Prints events and remembers how far it came.
private actor EventPrinter {
    private(set) var position: Int64
    private let json: Bool

    init(after position: Int64, json: Bool) {
        self.position = position
        self.json = json
    }

    func restored(to newest: Int64) {
        Terminal.complain(
            "The database was taken back to an earlier moment: its newest position is \(newest), and \(position) was printed. "
                + "It goes on from there; nodesctl backup restored keeps positions from being given twice.")
        position = newest
    }

    func print(_ events: [PairingStore.Event]) throws {
        for event in events {
            try Terminal.print(json ? JSONValue.event(event).text : event.line)
            position = event.position
        }
    }
}
