import ArgumentParser
import ChannelHost
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import PairingKernel
import Postgres

/// `nodesctl channels`
struct ChannelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channels",
        abstract: "Load the channel plugins as the servers do, and say what came of it.",
        discussion: """
            The plugins' code runs in this process, as this account. What was refused is listed with the reason.
            """)

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let options = options
        try await reporting(asJSON: options.json) {
            // The list below says what the log would.
            let process = try await NodesProcess(
                program: "nodesctl", file: options.file, for: .command, logLevel: .critical)
            let host = process.kernel.channels
            defer { host.shutdown() }
            let value = JSONValue.object([
                "directory": .string(process.configuration.channels.directory),
                "edition": .string(process.configuration.edition.rawValue),
                "channels": .array(host.channels.map(JSONValue.channel)),
                "refused": .array(host.refused.map(JSONValue.plugin)),
            ])
            try Terminal.print(options.json ? value.text : Self.text(of: host, process.configuration))
            await process.pool.close()
        }
    }

    private static func text(of host: ChannelHost, _ configuration: NodesConfiguration) -> String {
        var parts: [String] = []
        if configuration.edition == .lite { parts.append("The lite edition has no channels.") }
        if host.channels.isEmpty {
            parts.append("No channel is loaded from \(configuration.channels.directory).")
        } else {
            var table = TextTable("CHANNEL", "NAME", "VERSION", "ABI", "KEY", "PATH")
            for channel in host.channels {
                table.add(
                    channel.id.text, channel.displayName, channel.version, channel.abi,
                    channel.limits.requiresKey ? "required" : "optional", channel.path)
            }
            parts.append(table.text)
        }
        if !host.refused.isEmpty {
            parts.append(
                "Refused:\n"
                    + host.refused.map { "  " + terminalText("\($0.path): \($0.reason)") }
                    .joined(separator: "\n"))
        }
        return parts.joined(separator: "\n\n")
    }
}

/// `nodesctl config`
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Print every configuration key, its default, unit and meaning.")

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let options = options
        try await reporting(asJSON: options.json) {
            let value = JSONValue.array(NodesConfiguration.settings.map(JSONValue.setting))
            try Terminal.print(
                options.json ? value.text : String(NodesConfiguration.reference.dropLast()))
        }
    }
}

extension JSONValue {
    fileprivate static func channel(_ channel: ChannelDescription) -> JSONValue {
        .object([
            "id": .string(channel.id.text), "displayName": .string(channel.displayName),
            "version": .string(channel.version), "abi": .string(channel.abi), "path": .string(channel.path),
            "sha256": .string(channel.sha256),
            "swiftVersion": channel.swiftVersion.map(JSONValue.string) ?? .null,
            "requiresKey": .bool(channel.limits.requiresKey),
        ])
    }

    fileprivate static func plugin(_ plugin: RefusedPlugin) -> JSONValue {
        .object(["path": .string(plugin.path), "reason": .string(plugin.reason)])
    }

    fileprivate static func setting(_ setting: Setting) -> JSONValue {
        .object([
            "key": .string(setting.key),
            "environment": setting.environmentName.map(JSONValue.string) ?? .null,
            "form": .string(setting.form),
            "default": setting.defaultText.map(JSONValue.string) ?? .null,
            "summary": .string(setting.summary),
        ])
    }
}
