import PairingCore

/// What a start would find in the folder of channels, as far as that is known without running a plugin's code.
package struct FolderSurvey: Sendable, Equatable {
    /// What would be loaded, if it starts.
    package var found: [ChannelsReport.Found] = []
    /// What would be refused.
    package var refused: [ChannelsReport.Refused] = []
    /// Why the folder itself would be refused, and everything in it.
    package var folderRefusal: String?

    /// What a restart would make of a loaded channel.
    func outlook(of channel: ChannelDescription) -> ChannelsReport.Outlook {
        if let plugin = found.first(where: { $0.id == channel.id }) {
            guard plugin.sha256 == channel.sha256 else { return .other(plugin) }
            guard plugin.version == channel.version else {
                return .refused(
                    "its manifest says that it is version \(plugin.version), the library is version "
                        + "\(channel.version): install the two together")
            }
            return .same
        }
        if let folderRefusal { return .refused(folderRefusal) }
        return refused.first { $0.path == channel.path }.map { .refused($0.reason) } ?? .gone
    }

    /// What a restart would try to load, of channels that are not loaded.
    func newcomers(beside loaded: [ChannelDescription]) -> [ChannelsReport.Found] {
        found.filter { plugin in !loaded.contains { $0.id == plugin.id } }
    }

    /// What a restart would refuse that the start did not, or for another reason; not what ``outlook(of:)``
    /// says of a loaded channel.
    func newlyRefused(beside loaded: [ChannelDescription], before: [ChannelsReport.Refused])
        -> [ChannelsReport.Refused]
    {
        refused.filter { plugin in
            !before.contains { $0.path == plugin.path && $0.reason == plugin.reason }
                && !loaded.contains { $0.path == plugin.path && outlook(of: $0) == .refused(plugin.reason) }
        }
    }
}

extension FolderSurvey {
    /// Looks at a folder once, as a start would, without running a plugin's code. Blocks while it reads.
    package init(of directory: String) {
        var look = FolderLook(directory: directory, failedStarts: [:])
        self = look.survey()
    }
}

/// A plugin that passed every check of its files and then failed to start, which only a start can find out: the same
/// library would fail again.
struct FailedStart: Sendable {
    /// The library's SHA-256, 64 hexadecimal digits.
    let sha256: String
    /// What went wrong.
    let reason: String
}

/// Looks at the folder of channels again and again, and reads a library only when it, or its manifest, is
/// another file than before.
struct FolderLook: Sendable {
    private struct Known: Sendable {
        let stamps: [FileStamp?]
        let result: Result<Checked, Untrusted>
    }

    private struct Checked: Sendable {
        let plugin: ChannelsReport.Found
        let file: PluginFile.Identity
    }

    private let directory: String
    private let failedStarts: [String: FailedStart]
    private let loaded: [FileStamp]
    private var known: [String: Known] = [:]
    /// How many libraries were read and hashed.
    private(set) var reads = 0

    /// - Parameters:
    ///   - failedStarts: what did not start in this process, by the path.
    ///   - loaded: the files that this process runs, as they were when they were loaded.
    init(directory: String, failedStarts: [String: FailedStart], loaded: [FileStamp] = []) {
        self.directory = directory
        self.loaded = loaded
        self.failedStarts = failedStarts
    }

    /// Blocks while it reads.
    mutating func survey() -> FolderSurvey {
        var survey = FolderSurvey()
        do throws(Untrusted) {
            let folder = try TrustedFolder(path: directory)
            let names = PluginNames(try folder.names())
            known = known.filter { names.libraries.contains($0.key) }
            var register = PluginRegister()
            for name in names.libraries {
                do throws(Untrusted) {
                    survey.found.append(try find(name, in: folder, among: &register))
                } catch {
                    survey.refused.append(
                        ChannelsReport.Refused(path: folder.path + "/" + name, reason: error.message))
                }
            }
            survey.refused += names.orphans.map {
                ChannelsReport.Refused(path: folder.path + "/" + $0.library, reason: $0.reason)
            }
            survey.refused.sort { $0.path < $1.path }
        } catch {
            survey.folderRefusal = error.message
            survey.refused.append(ChannelsReport.Refused(path: directory, reason: error.message))
        }
        return survey
    }

    private mutating func find(
        _ name: String, in folder: borrowing TrustedFolder, among register: inout PluginRegister
    ) throws(Untrusted) -> ChannelsReport.Found {
        let checked = try check(name, in: folder)
        let plugin = checked.plugin
        try register.enter(name, checked.file, of: plugin.id)
        if let failed = failedStarts[plugin.path], failed.sha256 == plugin.sha256 {
            throw Untrusted(failed.reason)
        }
        register.take(plugin.id, for: plugin.path)
        return plugin
    }

    private mutating func check(_ name: String, in folder: borrowing TrustedFolder) throws(Untrusted)
        -> Checked
    {
        // Before reading: what changes meanwhile has another stamp the next time.
        let library = folder.stamp(of: name)
        let stamps = [library, folder.stamp(of: PluginFile.manifestName(of: name))]
        if let known = known[name], known.stamps == stamps { return try known.result.get() }
        reads += 1
        let result: Result<Checked, Untrusted>
        do throws(Untrusted) {
            let file = try PluginFile(name, in: folder)
            let plugin = ChannelsReport.Found(
                id: file.manifest.id, version: file.manifest.version, path: file.path, sha256: file.sha256)
            result = .success(Checked(plugin: plugin, file: file.identity))
        } catch {
            // What runs is mapped from the file, not a copy of it.
            let isChangedInPlace =
                library.map { now in
                    loaded.contains { $0.isSameFile(as: now) && !$0.hasSameContents(as: now) }
                }
                ?? false
            result = .failure(
                isChangedInPlace
                    ? Untrusted(
                        "\(error.message). The file was changed in place while this process runs it, which may end "
                            + "the process with a bus error at any time: restart it, and install with "
                            + "scripts/install-channels, which puts another file in its place") : error)
        }
        known[name] = Known(stamps: stamps, result: result)
        return try result.get()
    }
}
