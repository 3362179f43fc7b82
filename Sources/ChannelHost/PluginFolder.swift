import PairingCore

/// The names in a folder of plugins that matter: `NAME.so` with `NAME.json`.
struct PluginNames {
    /// The libraries, sorted.
    let libraries: [String]
    /// The manifests whose library is missing: what that library would be called, and why it is refused.
    let orphans: [(library: String, reason: String)]

    /// - Parameter names: the names in the folder, sorted.
    init(_ names: [String]) {
        let visible = names.filter { !$0.hasPrefix(".") }
        let libraries = visible.filter { $0.hasSuffix(".so") }
        self.libraries = libraries
        orphans = visible.compactMap { name in
            guard name.hasSuffix(".json") else { return nil }
            let library = String(name.dropLast(".json".count)) + ".so"
            guard !libraries.contains(library) else { return nil }
            let reason =
                "the manifest \(name) is there, the library \(library) is missing; install the channel again"
            return (library, reason)
        }
    }
}

/// The plugins of a folder that came before the next one: a file is one plugin, an ID is one plugin's.
struct PluginRegister {
    private var names: [PluginFile.Identity: String] = [:]
    private var paths: [ChannelID: String] = [:]

    /// Enters a plugin's file, unless the file, or a channel of that ID, came before.
    mutating func enter(_ name: String, _ file: PluginFile.Identity, of id: ChannelID) throws(Untrusted) {
        if let other = names[file] {
            throw Untrusted("\(name) is the same file as \(other), which was loaded; keep one of the two")
        }
        if let other = paths[id] {
            throw Untrusted(
                "the channel \"\(id)\" was loaded from \(other) already; keep one of the two")
        }
        names[file] = name
    }

    /// The ID is taken from now on.
    mutating func take(_ id: ChannelID, for path: String) { paths[id] = path }
}
