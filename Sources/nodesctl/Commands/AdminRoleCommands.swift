import ArgumentParser
import PairingCore
import PairingKernel

extension Role: ExpressibleByArgument {}

extension AdminCommand {
    /// `nodesctl admin set-role`
    struct SetRole: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "set-role", abstract: "Change what an account may do, and its tokens with it.",
            discussion: "It holds from the next request on. The last administrator keeps the role.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        @Argument(help: "administrator, operator or viewer.")
        var role: Role

        func run(at desk: Desk) async throws {
            try await desk.accounts.setRole(role, of: name, by: desk.authority)
            try desk.print(
                .object(["username": .string(name), "role": .string(role.rawValue)]),
                "\(terminalText(name)) is \(role.withArticle) now.")
        }
    }

    /// `nodesctl admin disable`
    struct Disable: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable",
            abstract: "Keep an account from signing in; its sessions end, its tokens do nothing.",
            discussion: "The last administrator can't be disabled.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            try await desk.accounts.setDisabled(true, name, by: desk.authority)
            try desk.print(
                .object(["username": .string(name)]), "Disabled the account \(terminalText(name)).")
        }
    }

    /// `nodesctl admin enable`
    struct Enable: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Let a disabled account sign in again.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            try await desk.accounts.setDisabled(false, name, by: desk.authority)
            try desk.print(.object(["username": .string(name)]), "Enabled the account \(terminalText(name)).")
        }
    }

    /// `nodesctl admin end-sessions`
    struct EndSessions: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "end-sessions", abstract: "End every browser session of an account, within seconds.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            let ended = try await desk.accounts.endSessions(of: name, by: desk.authority)
            try desk.print(
                .object(["username": .string(name), "ended": .integer(Int64(ended))]),
                "Ended \(ended) sessions of \(terminalText(name)).")
        }
    }

    /// `nodesctl admin reset-passkeys`
    struct ResetPasskeys: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-passkeys",
            abstract: "Remove every passkey of an account, when a device that holds one is lost or stolen.",
            discussion:
                "The account's password, and its one-time codes where it takes them, stay as they are.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            let removed = try await desk.accounts.removePasskeys(of: name, by: desk.authority)
            try desk.print(
                .object(["username": .string(name), "removed": .integer(Int64(removed))]),
                "Removed \(removed) \(removed == 1 ? "passkey" : "passkeys") of \(terminalText(name)).")
        }
    }

    /// `nodesctl admin reset-totp`
    struct ResetCodes: OperatorCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-totp",
            abstract:
                "Have an account sign in with its password alone, when its owner lost app and recovery codes.",
            discussion: "The owner can set one-time codes up anew.")

        @OptionGroup var options: OperatorOptions

        @Argument(help: "The account's name.")
        var name: String

        func run(at desk: Desk) async throws {
            try await desk.accounts.resetCodes(of: name, by: desk.authority)
            try desk.print(
                .object(["username": .string(name)]),
                "\(terminalText(name)) signs in with the password alone now.")
        }
    }
}
