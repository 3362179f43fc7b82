import ArgumentParser
import FoundationEssentials
import NodesConfiguration
import PairingCore

/// `nodesctl config`
struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Print every configuration key, its default, unit and meaning.",
        discussion:
            "Where a configuration file is named it is checked too, as the servers check it at their start.")

    @OptionGroup var options: OperatorOptions

    mutating func run() async throws {
        let options = options
        try await reporting(asJSON: options.json) {
            let value = JSONValue.array(NodesConfiguration.settings.map(JSONValue.setting))
            try Terminal.print(
                options.json ? value.text : String(NodesConfiguration.reference.dropLast()))
            guard let file = options.file else { return }
            _ = try await NodesConfiguration.load(
                file: file, environment: ProcessInfo.processInfo.environment, for: .server)
        }
    }
}

extension JSONValue {
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
