import ArgumentParser
import Cryptography
import PairingCore
import PairingKernel

/// `nodesctl admin`
struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "Accounts, what each may do, and their sessions.",
        subcommands: [
            Create.self, Password.self, SetRole.self, Disable.self, Enable.self, EndSessions.self,
            ResetCodes.self, ResetPasskeys.self, Unlock.self, List.self, Remove.self,
        ], aliases: ["admins"])

    /// Where a password comes from.
    struct PasswordOptions: ParsableArguments {
        static let discussion =
            "A password has 12 to 1024 bytes. Without an option it is asked for on the terminal."

        @Flag(help: "Read the password from the first line of standard input.")
        var passwordStdin = false

        @Flag(help: "Make a password and print it.")
        var generate = false

        func validate() throws {
            guard !(passwordStdin && generate) else {
                throw ValidationError("Give either --password-stdin or --generate.")
            }
        }

        /// The password, and whether this program made it.
        func read(for name: String) throws -> (password: String, isGenerated: Bool) {
            if generate { return (Base64URL.encode(try randomBytes(count: 18)), true) }
            if passwordStdin {
                guard let line = readLine() else {
                    throw CommandFailure(
                        .usage, "Standard input is empty; expected the password in its first line.")
                }
                // A file that an editor began with a byte order mark: nobody can type that when signing in.
                return (
                    line.unicodeScalars.first == "\u{FEFF}" ? String(line.unicodeScalars.dropFirst()) : line,
                    false
                )
            }
            guard Terminal.isInteractive else {
                throw CommandFailure(
                    .usage,
                    "There is no terminal to ask for the password. Give --password-stdin or --generate.")
            }
            guard let password = Terminal.askSecretly("New password for \(name):"),
                let again = Terminal.askSecretly("The same again:")
            else { throw CommandFailure(.usage, "No password was given.") }
            guard password == again else {
                throw CommandFailure(.usage, "The two passwords differ; nothing was changed.")
            }
            return (password, false)
        }
    }

    /// `nodesctl admin create`
    struct Create: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an account.",
            discussion: PasswordOptions.discussion, aliases: ["add"])

        @OptionGroup var options: OperatorOptions
        @OptionGroup var source: PasswordOptions

        @Argument(help: "The account's name: a-z, 0-9 and . _ @ -, at most 64 characters.")
        var name: String

        @Option(
            help:
                "What it may do: administrator (everything), operator (decides about requests and devices) or viewer (sees)."
        )
        var role: Role = .administrator

        func run(at desk: Desk) async throws {
            let (password, isGenerated) = try source.read(for: name)
            try await desk.accounts.create(
                username: name, password: password, role: role, by: desk.authority)
            try desk.print(
                account: name, isGenerated ? password : nil, "Made the account \(name), \(role.withArticle).")
        }
    }

    /// `nodesctl admin passwd`
    struct Password: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "passwd", abstract: "Change an account's password; its sessions end.",
            discussion: "Its failed sign-ins, and where it signed in before, are forgotten. "
                + PasswordOptions.discussion, aliases: ["reset-password"])

        @OptionGroup var options: OperatorOptions
        @OptionGroup var source: PasswordOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            let (password, isGenerated) = try source.read(for: name)
            try await desk.accounts.setPassword(username: name, password: password, by: desk.authority)
            try desk.print(
                account: name, isGenerated ? password : nil,
                "Changed the password of \(name) and ended its sessions.")
        }
    }

    /// `nodesctl admin unlock`
    struct Unlock: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "unlock",
            abstract: "Forget an account's failed sign-ins: nobody has to wait any more.",
            discussion: """
                While somebody goes on guessing, the account is locked for new places again within moments. --from \
                makes the owner's address one that signed in before, which others cannot lock out.
                """)

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        @Option(help: "The IP address from which the owner will sign in.")
        var from: String?

        func validate() throws {
            guard from == nil || from.flatMap(ClientAddress.init) != nil else {
                throw ValidationError("--from: expected an IP address, such as 192.0.2.7 or 2001:db8::7.")
            }
        }

        func run(at desk: Desk) async throws {
            try await desk.accounts.unlock(
                username: name, knowing: from.flatMap(ClientAddress.init), by: desk.authority)
            try desk.print(
                .object(["username": .string(name)]),
                "Unlocked the account \(terminalText(name))"
                    + (from.map { ", and for \($0) for good." } ?? "."))
        }
    }

    /// `nodesctl admin list`
    struct List: OperatorCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the accounts.")

        @OptionGroup var options: OperatorOptions

        func run(at desk: Desk) async throws {
            let accounts = try await desk.accounts.list(by: desk.authority)
            var table = TextTable("NAME", "ROLE", "CODES", "DISABLED", "CREATED", "LAST SIGN-IN")
            for account in accounts {
                table.add(
                    account.username, account.role.rawValue, account.codesSince == nil ? "off" : "on",
                    account.disabledAt?.text ?? "", account.createdAt.text, account.lastSignInAt?.text ?? "")
            }
            try desk.print(.array(accounts.map(JSONValue.account)), table.text)
        }
    }

    /// `nodesctl admin remove`
    struct Remove: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove an account, its sessions and its API tokens.",
            discussion: "The last administrator can't be removed.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        @Flag(help: "Do it without asking.")
        var yes = false

        func run(at desk: Desk) async throws {
            try confirm(
                yes, typing: name, "Type the account's name to remove it with its sessions and tokens:")
            try await desk.accounts.remove(username: name, by: desk.authority)
            try desk.print(.object(["username": .string(name)]), "Removed the account \(terminalText(name)).")
        }
    }
}

extension Desk {
    /// - Parameter password: what this program made and nobody else knows yet.
    fileprivate func print(account name: String, _ password: String?, _ text: String) throws(CommandFailure) {
        try print(
            .object(["username": .string(name), "password": password.map(JSONValue.string) ?? .null]),
            password.map { "\(text)\nPassword: \($0)" } ?? text)
    }
}
