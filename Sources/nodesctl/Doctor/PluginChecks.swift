import ChannelHost
import PairingCore

/// The folder of channel plugins, as a start would find it; no plugin's code runs.
enum PluginChecks {
    /// - Parameter survey: `nil` in the edition without channels.
    static func findings(_ survey: FolderSurvey?, directory: String) -> [Finding] {
        let check = "channels.plugin"
        guard let survey else {
            return [.skipped(check, directory, "the lite edition has no channels")]
        }
        let refused = survey.refused.map {
            Finding.error(
                check, $0.path, found: $0.reason, expected: "a plugin that the servers load",
                advice:
                    "Install the channel again with scripts/install-channels, or move its files out of the folder."
            )
        }
        if survey.found.isEmpty, refused.isEmpty {
            return [
                .error(
                    check, directory, found: "no plugin", expected: "a plugin for each channel",
                    advice: "Install the channels, or set channels.directory to their folder.")
            ]
        }
        return refused
            + survey.found.map { .ok(check, $0.path, "channel \($0.id), version \($0.version)") }
    }
}
