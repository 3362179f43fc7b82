import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl webhooks`
struct WebhooksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "webhooks", abstract: "Web hooks: who else is told what happens.",
        subcommands: [List.self, Add.self, Test.self, Enable.self, Disable.self, Rotate.self, Remove.self])

    /// `nodesctl webhooks list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the web hooks, and how delivering to each goes.")

        @OptionGroup var options: OperatorOptions

        func run(at desk: Desk) async throws {
            let hooks = try await desk.kernel.webhooks.list(by: desk.authority)
            var table = TextTable("ID", "ADDRESS", "IS TOLD", "STATE", "LAST DELIVERY", "LAST ERROR")
            for hook in hooks {
                table.add(
                    hook.id, hook.url, hook.told, hook.condition, hook.lastDeliveryAt?.text ?? "-",
                    hook.lastError ?? "-")
            }
            try desk.print(.array(hooks.map(\.json)), table.text)
        }
    }

    /// `nodesctl webhooks add`
    struct Add: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Add a web hook, and print its secret, this once.",
            discussion: "It is told everything that happens, unless one of the options says otherwise.")
        static let readsKey = true

        @OptionGroup var options: OperatorOptions

        @Option(help: "Names of events, or beginnings such as 'pairing.*', parted by commas.")
        var events: String?

        @Option(help: "Be told that messages wait for devices whose channel gives this name, such as mobile.")
        var pushHook: String?

        @Argument(help: "Where it is sent, such as https://example.org/hooks/nodes.")
        var url: String

        func run(at desk: Desk) async throws {
            guard events == nil || pushHook == nil else {
                throw CommandFailure(.usage, "Expected --events or --push-hook, not both.")
            }
            let id = try Webhooks.makeID()
            try await desk.kernel.webhooks.add(
                id, to: url, telling: pushHook.map { .waiting($0) } ?? .events(events ?? "*"),
                by: desk.authority)
            try await desk.printSecret(of: id, "Added the web hook \(id). Its secret, for the receiver:")
        }
    }

    /// `nodesctl webhooks test`
    struct Test: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "test", abstract: "Send a test, and say what came of it.",
            discussion: "A gateway sends it. The command waits for that for 30 seconds.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            let before = try await desk.kernel.webhooks.webhook(id, by: desk.authority).hook
            let position = try await desk.kernel.webhooks.test(id, by: desk.authority)
            for _ in 0..<120 {
                let hook = try await desk.kernel.webhooks.webhook(id, by: desk.authority).hook
                if hook.cursor >= position {
                    return try desk.print(
                        .object(["id": .string(hook.id), "delivered": .bool(true)]), "It was delivered.")
                }
                if let error = hook.lastError, hook.lastErrorAt != before.lastErrorAt {
                    throw CommandFailure(.refused, "It was not taken: \(terminalText(error))")
                }
                // Nothing but the row tells what a gateway made of it.
                try await Task.sleep(for: .milliseconds(250))
            }
            throw CommandFailure(.unavailable, "No gateway sent it within 30 seconds. Is one running?")
        }
    }

    /// `nodesctl webhooks enable`
    struct Enable: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Tell a web hook what happens again.")

        @OptionGroup var options: OperatorOptions

        @Flag(help: "Leave out what happened meanwhile.")
        var skip = false

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            try await desk.kernel.webhooks.enable(id, skipping: skip, by: desk.authority)
            try desk.print(.object(["id": .string(id)]), "Enabled the web hook \(terminalText(id)).")
        }
    }

    /// `nodesctl webhooks disable`
    struct Disable: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable", abstract: "Tell a web hook nothing until it is enabled.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            try await desk.kernel.webhooks.disable(id, by: desk.authority)
            try desk.print(.object(["id": .string(id)]), "Disabled the web hook \(terminalText(id)).")
        }
    }

    /// `nodesctl webhooks rotate`
    struct Rotate: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Give a web hook another secret, and print it, this once.",
            discussion: "The one before signs beside it for 24 hours.")
        static let readsKey = true

        @OptionGroup var options: OperatorOptions

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            try await desk.kernel.webhooks.rotateSecret(of: id, by: desk.authority)
            try await desk.printSecret(of: id, "The new secret of the web hook \(terminalText(id)):")
        }
    }

    /// `nodesctl webhooks remove`
    struct Remove: OperatorCommand {
        static let configuration = CommandConfiguration(commandName: "remove", abstract: "Forget a web hook.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "Its ID, as listed.")
        var id: String

        func run(at desk: Desk) async throws {
            try await desk.kernel.webhooks.remove(id, by: desk.authority)
            try desk.print(.object(["id": .string(id)]), "Removed the web hook \(terminalText(id)).")
        }
    }
}

extension Desk {
    fileprivate func printSecret(of id: String, _ sentence: String) async throws {
        let (hook, secret) = try await kernel.webhooks.webhook(id, by: authority)
        try print(
            .object(["id": .string(hook.id), "secret": .string(secret ?? "")]), "\(sentence)\n\(secret ?? "")"
        )
    }
}

extension Webhook {
    /// What it is told, in a word.
    fileprivate var told: String { events ?? "waiting: \(pushHook ?? "")" }

    /// How it is, in a word.
    fileprivate var condition: String { isEnabled && failingSince != nil ? "failing" : state }

    fileprivate var json: JSONValue {
        .object([
            "id": .string(id), "url": .string(url), "events": events.map(JSONValue.string) ?? .null,
            "pushHook": pushHook.map(JSONValue.string) ?? .null, "state": .string(state),
            "stateSince": .time(stateSince), "createdAt": .time(createdAt), "createdBy": .string(createdBy),
            "cursor": .integer(cursor), "attempts": .integer(Int64(attempts)),
            "failingSince": .time(failingSince), "nextTryAt": .time(nextTryAt),
            "lastDeliveryAt": .time(lastDeliveryAt), "lastError": lastError.map(JSONValue.string) ?? .null,
            "lastErrorAt": .time(lastErrorAt), "oldSecretUntil": .time(oldSecretUntil),
        ])
    }
}
