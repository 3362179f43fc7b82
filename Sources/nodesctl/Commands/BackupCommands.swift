import ArgumentParser
import PairingCore
import PairingKernel
import PairingStore

/// `nodesctl backup`
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Check a restored database, and say that it is one.",
        discussion: """
            Backups are made with PostgreSQL's own programs (pg_dump, pg_basebackup, pgBackRest). After one was restored, \
            or a replica took over that had not caught up: stop every server, run nodesctl backup verify, then nodesctl \
            backup restored, and start them again.
            """,
        subcommands: [Verify.self, Restored.self, BackupMissingCommand.self])

    /// `nodesctl backup verify`
    struct Verify: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Read the whole database and look for what contradicts itself.",
            discussion: """
                Changes nothing. It looks for indexes that can't be used, pairings, numbers and counters that do not agree \
                with each other, and checks the chain of events. It ends with 65 where something is wrong. Data that a \
                disk damaged is for pg_amcheck to find.
                """)

        @OptionGroup var options: OperatorOptions

        @Option(help: "A head of the chain that nodesctl audit head printed before, POSITION:HASH.")
        var head: String?

        func validate() throws {
            guard head == nil || head.flatMap(ChainHead.init) != nil else {
                throw ValidationError("--head: expected what nodesctl audit head printed, POSITION:HASH.")
            }
        }

        func run(at desk: Desk) async throws {
            let shows = !desk.json && Terminal.isWatched
            var shown = ""
            let verdict = try await desk.kernel.restoration.verify(
                anchor: head.flatMap(ChainHead.init), by: desk.authority
            ) { what, done, all in
                let line = all > 0 ? "\(what): \(done * 20 / all * 5) %" : what
                if shows, line != shown { Terminal.complain(line) }
                shown = line
            }
            try desk.print(.verdict(verdict), verdict.lines.joined(separator: "\n"))
            guard verdict.isSound else {
                throw CommandFailure(
                    .refused, "This database contradicts itself: don't let servers run on it.")
            }
        }
    }

    /// `nodesctl backup restored`
    struct Restored: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "restored", abstract: "Say that this database was taken back to an earlier moment.",
            discussion: """
                Once after each restored backup or lost replica, before the servers start. Positions of events, numbers \
                of messages and sessions go on so much further that none is given twice, and the event database.restored \
                tells whoever follows. What was decided after that moment is undone: nodesctl revoke --all-since says \
                what to do about devices that were revoked then.
                """)

        @OptionGroup var options: OperatorOptions

        @Flag(help: "Don't ask.")
        var yes = false

        func run(at desk: Desk) async throws {
            try confirm(
                yes, typing: "restored",
                "Every number goes on a thousand million further on. Type restored if this database was: "
            )
            let epoch = try await desk.kernel.restoration.record(by: desk.authority)
            try desk.print(
                .object(["epoch": .integer(epoch)]),
                "Epoch \(epoch) begins. Start the servers, and look whether pairings came back that were revoked: "
                    + "nodesctl revoke --help.")
        }
    }
}

extension Restoration.Verdict {
    /// What is printed for a person.
    fileprivate var lines: [String] {
        var lines = [
            "Epoch \(inventory.epoch), position \(inventory.position): the newest event is of "
                + "\(inventory.newestEventAt.map(\.text) ?? "never"). What was decided later is not in here.",
            "\(inventory.devices) paired devices, \(inventory.requests) pending requests, \(inventory.messages) messages "
                + "without an answer or acknowledgement.",
        ]
        if !inventory.gateways.isEmpty {
            lines.append("Gateways run on it: \(inventory.gateways.joined(separator: ", ")).")
        }
        for bad in contradictions {
            lines.append("wrong: \(bad.sentence): \(bad.count), such as \(bad.example).")
        }
        switch chain {
        case .success(let verdict):
            lines.append("\(verdict.count) events are as they were written. Head: \(verdict.head)")
        case .failure(let refusal): lines.append("wrong: \(refusal.message)")
        }
        return lines
    }
}

extension JSONValue {
    fileprivate static func verdict(_ verdict: Restoration.Verdict) -> JSONValue {
        let inventory = verdict.inventory
        var faults = verdict.contradictions.map { bad in
            JSONValue.object([
                "sentence": .string(bad.sentence), "count": .integer(bad.count),
                "example": .string(bad.example),
            ])
        }
        if case .failure(let refusal) = verdict.chain {
            faults.append(.object(["sentence": .string(refusal.message), "count": .null, "example": .null]))
        }
        return .object([
            "sound": .bool(verdict.isSound), "epoch": .integer(inventory.epoch),
            "position": .integer(inventory.position),
            "newestEventAt": inventory.newestEventAt.map { .integer($0.milliseconds) } ?? .null,
            "devices": .integer(inventory.devices), "requests": .integer(inventory.requests),
            "messages": .integer(inventory.messages),
            "gateways": .array(inventory.gateways.map(JSONValue.string)),
            "faults": .array(faults),
        ])
    }
}
