import Dispatch
import Logging
import PairingCore
import Synchronization

/// Loads the plugins of a folder, one after the other.
struct ChannelLoader {
    private(set) var loaded: [ChannelID: LoadedChannel] = [:]
    private(set) var refused: [ChannelsReport.Refused] = []
    /// Of those, the ones whose files are in order, by their paths.
    private(set) var failedStarts: [String: FailedStart] = [:]
    /// The libraries whose code was loaded, refused ones too, as they were then.
    private(set) var files: [FileStamp] = []

    private let configurations: [String: String]
    private let limits: ChannelCallLimits
    private let logger: Logger
    private var register = PluginRegister()

    init(configurations: [String: String], limits: ChannelCallLimits, logger: Logger) {
        self.configurations = configurations
        self.limits = limits
        self.logger = logger
    }

    mutating func load(directory: String) {
        guard !directory.isEmpty else { return }
        do throws(Untrusted) {
            let folder = try TrustedFolder(path: directory)
            let names = PluginNames(try folder.names())
            for name in names.libraries {
                let path = folder.path + "/" + name
                do throws(Untrusted) {
                    try load(PluginFile(name, in: folder), named: name)
                } catch {
                    refuse(path, error.message)
                }
            }
            for orphan in names.orphans { refuse(folder.path + "/" + orphan.library, orphan.reason) }
        } catch {
            refuse(
                directory,
                error.message
                    + "; no channel is loaded. Set channels.directory to the folder of the channels, or make it: "
                    + "scripts/install-channels does")
        }
        for id in configurations.keys.sorted() where !loaded.keys.contains(where: { $0.text == id }) {
            logger.warning(
                "channels.config has a channel that is not loaded: install it, or take it out of the configuration",
                metadata: ["channel": "\(id)"])
        }
    }

    private mutating func refuse(_ path: String, _ reason: String) {
        refused.append(ChannelsReport.Refused(path: path, reason: reason))
        logger.error("channel refused", metadata: ["path": "\(path)", "reason": "\(reason)"])
    }

    private mutating func load(_ file: consuming PluginFile, named name: String) throws(Untrusted) {
        let manifest = file.manifest
        try register.enter(name, file.identity, of: manifest.id)
        files.append(file.stamp)
        let (path, sha256) = (file.path, file.sha256)
        do throws(Untrusted) {
            try load(file, at: path, sha256: sha256)
            register.take(manifest.id, for: path)
        } catch {
            failedStarts[path] = FailedStart(sha256: sha256, reason: error.message)
            refuse(path, error.message)
        }
    }

    private mutating func load(
        _ file: consuming PluginFile, at path: String, sha256: String
    ) throws(Untrusted) {
        let manifest = file.manifest
        let services = ChannelServices(name: manifest.id.text, limits: limits, logger: logger)
        let host = HostContext(services: services, limits: limits)
        let plugin = try start(file, host: host)
        let description = ChannelDescription(
            id: manifest.id, displayName: plugin.identity.displayName, version: plugin.identity.version,
            abi: plugin.abi.description, path: path, sha256: sha256, swiftVersion: manifest.swift,
            limits: plugin.limits, declarations: plugin.identity.declarations)
        loaded[manifest.id] = try LoadedChannel(description: description, plugin: plugin, host: host)
        logger.info(
            "channel loaded",
            metadata: [
                "channel": "\(manifest.id)", "version": "\(description.version)", "path": "\(path)",
                "sha256": "\(sha256)",
            ])
    }

    /// Runs the plugin's code for the first time, on a thread that may be lost to it.
    private func start(_ file: consuming PluginFile, host: HostContext) throws(Untrusted) -> Plugin {
        let manifest = file.manifest
        let configuration = configurations[manifest.id.text] ?? "{}"
        let start = PluginStart(file)
        let done = DispatchSemaphore(value: 0)
        try startThread(named: "channel-start") {
            start.run(manifest: manifest, configuration: configuration, host: host)
            done.signal()
        }
        let milliseconds = Int(limits.start.milliseconds)
        guard done.wait(timeout: .now() + .milliseconds(milliseconds)) == .success,
            let result = start.result
        else {
            throw Untrusted("its start did not come back within \(milliseconds) ms")
        }
        return try result.get()
    }
}

/// The start of a plugin, on a thread of its own.
private final class PluginStart: Sendable {
    private let file: Mutex<PluginFile?>
    private let outcome = Mutex<Result<Plugin, Untrusted>?>(nil)

    init(_ file: consuming PluginFile) { self.file = Mutex(file) }

    var result: Result<Plugin, Untrusted>? { outcome.withLock { $0 } }

    func run(manifest: PluginManifest, configuration: String, host: HostContext) {
        guard let file = file.withLock({ $0.take() }) else { return }
        let result: Result<Plugin, Untrusted>
        do throws(Untrusted) {
            let entry = try file.load()
            result = .success(
                try Plugin(entry: entry, manifest: manifest, configuration: configuration, host: host))
        } catch {
            result = .failure(error)
        }
        outcome.withLock { $0 = result }
    }
}
