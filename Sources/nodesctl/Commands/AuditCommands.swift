import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "The proof that nobody changed what happened.",
        subcommands: [Verify.self, Head.self])

    /// `nodesctl audit verify`
    struct Verify: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Check the chain of hashes, and name the first bad row.",
            discussion: """
                It reads every row of the table events and makes each hash again. Without --head it proves that nobody \
                changed a part; only a head that was kept elsewhere proves that nobody rewrote all of it. It ends with \
                65 where something is wrong.
                """)

        @OptionGroup var options: OperatorOptions

        @Option(help: "A head that nodesctl audit head printed before, POSITION:HASH.")
        var head: String?

        func validate() throws {
            guard head == nil || head.flatMap(ChainHead.init) != nil else {
                throw ValidationError("--head: expected what nodesctl audit head printed, POSITION:HASH.")
            }
        }

        func run(at desk: Desk) async throws {
            let shows = !desk.json && Terminal.isWatched
            var shown: Int64 = -1
            let verdict = try await desk.kernel.audit.verify(
                anchor: head.flatMap(ChainHead.init), by: desk.authority
            ) { done, all in
                let percent = done * 100 / max(all, 1)
                if shows, percent / 5 != shown / 5 || shown < 0 {
                    Terminal.complain("\(percent) % of \(all) events")
                }
                shown = percent
            }
            try desk.print(
                .object([
                    "first": .integer(verdict.first), "checked": .integer(Int64(verdict.count)),
                    "position": .integer(verdict.head.position), "head": .string(verdict.head.description),
                ]),
                verdict.count == 0
                    ? "There is no event to check yet. Head: \(verdict.head)"
                    : "\(verdict.count) events, from position \(verdict.first) on, are as they were written. "
                        + "Head: \(verdict.head)")
        }
    }

    /// `nodesctl audit head`
    struct Head: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "head", abstract: "Print the newest position and its hash, to be kept elsewhere.")

        @OptionGroup var options: OperatorOptions

        func run(at desk: Desk) async throws {
            let head = try await desk.kernel.audit.head(by: desk.authority)
            try desk.print(
                .object(["position": .integer(head.position), "head": .string(head.description)]),
                head.description)
        }
    }
}
