import ArgumentParser
import NodesConfiguration
import PairingCore
import PairingKernel

/// `nodesctl token`
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Administrators' API tokens, for programs.",
        subcommands: [Create.self, List.self, Revoke.self])

    /// `nodesctl token create`
    struct Create: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make a token and print it, this once.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "What the token is called, 1 to 64 characters.")
        var name: String

        @Option(
            help:
                "What it may do: read (see requests and devices), send (messages to devices, nothing else), decide (see and decide) or administer (everything); no more than its owner's role allows."
        )
        var scope: Scope

        @Option(help: "How long it lasts, such as 30d or 12h; an hour to 400 days.", transform: duration)
        var expires: Duration

        @Option(help: "The account whose name its actions carry.")
        var owner: String

        func run(at desk: Desk) async throws {
            let (secret, token) = try await desk.accounts.createToken(
                owner: owner, name: name, scope: scope, lifetime: expires, by: desk.authority)
            try desk.print(
                JSONValue.token(token).adding(["secret": .string(secret)]),
                "Token \(token.id) lasts until \(token.expiresAt.text). It is shown this once:\n\(secret)")
        }

        private static func duration(_ text: String) throws -> Duration {
            guard let duration = Quantities.duration(text) else {
                throw ValidationError("expected a number with its unit, such as 30d or 12h")
            }
            return duration
        }
    }

    /// `nodesctl token list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "List the tokens, newest first; their secrets are not known any more.")

        @OptionGroup var options: OperatorOptions

        func run(at desk: Desk) async throws {
            let tokens = try await desk.accounts.tokens(by: desk.authority)
            var table = TextTable("ID", "OWNER", "NAME", "SCOPE", "EXPIRES", "REVOKED", "LAST USED")
            for token in tokens {
                table.add(
                    String(token.id), token.owner, token.name, token.scope.rawValue, token.expiresAt.text,
                    token.revokedAt?.text ?? "", token.lastUsedAt?.text ?? "")
            }
            try desk.print(.array(tokens.map(JSONValue.token)), table.text)
        }
    }

    /// `nodesctl token revoke`
    struct Revoke: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Revoke a token; its sockets end within seconds.")

        @OptionGroup var options: OperatorOptions

        @Argument(
            help: "The token's number, as listed.",
            transform: { try readNumber($0, "a token's number, such as nodesctl token list shows") })
        var id: Int64

        func run(at desk: Desk) async throws {
            try await desk.accounts.revokeToken(id: id, by: desk.authority)
            try desk.print(.object(["id": .integer(id)]), "Revoked token \(id).")
        }
    }
}

extension Scope: ExpressibleByArgument {}
