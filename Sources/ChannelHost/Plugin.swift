import CGoClawChannel
import Cryptography
import FoundationEssentials
import Glibc
import PairingCore

/// The ABI of this process.
package let hostABI = ABIVersion(major: UInt16(GOCLAW_ABI_MAJOR), minor: UInt16(GOCLAW_ABI_MINOR))

/// The version of the Swift runtime that this process and its Swift plugins share.
package let runtimeSwiftVersion = "\(_SwiftStdlibVersion.current)"

/// A plugin's library and manifest, checked before any of its code runs.
struct PluginFile: ~Copyable, Sendable {
    /// Tells whether two names are one file.
    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    static let maximumSize = 256 * 1024 * 1024

    let path: String
    let manifest: PluginManifest
    let sha256: String
    let identity: Identity
    /// The library as it was when it was read.
    let stamp: FileStamp
    private let descriptor: Descriptor

    /// The name of the manifest beside a library.
    static func manifestName(of library: String) -> String {
        String(library.dropLast(".so".count)) + ".json"
    }

    /// Opens and checks `name`, which ends in `.so`, and the manifest beside it.
    init(_ name: String, in folder: borrowing TrustedFolder) throws(Untrusted) {
        let manifestName = Self.manifestName(of: name)
        guard let library = try folder.open(name) else {
            throw Untrusted("\(name) is gone; install the channel again")
        }
        guard let file = try folder.open(manifestName) else {
            throw Untrusted(
                "\(name) has no manifest: expected \(manifestName) beside it; install the channel again")
        }
        guard let json = file.contents(atMost: PluginManifest.maximumSize) else {
            throw Untrusted("the manifest \(manifestName) cannot be read, or is larger than 64 KiB")
        }
        let manifest = try PluginManifest(json: json, named: manifestName)
        guard let bytes = library.contents(atMost: Self.maximumSize) else {
            throw Untrusted("\(name) cannot be read, or is larger than 256 MiB")
        }
        let sha256 = hexadecimal(Cryptography.sha256(bytes))
        try manifest.check(sha256: sha256, libraryName: name, host: hostABI, swift: runtimeSwiftVersion)
        guard manifest.swift != nil || bytes.firstRange(of: Array("libswiftCore.so".utf8)) == nil else {
            throw Untrusted(
                "\(name) needs libswiftCore.so, so it is a Swift plugin, and its manifest names no \"swift\" "
                    + "version, expected one to compare with \(runtimeSwiftVersion); install the channel again"
            )
        }
        let status = library.status()
        self.manifest = manifest
        self.sha256 = sha256
        stamp = FileStamp(status)
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        path = folder.path + "/" + name
        descriptor = library
    }

    /// Runs the library's start-up code and finds its entry.
    ///
    /// What is loaded is the file that was checked, by its descriptor, whatever its name leads to by now. The
    /// descriptor stays open for good: the dynamic linker knows a library by the name it was loaded under,
    /// and would take another file under a number used again for this one. Nothing is ever unloaded:
    /// unloading a Swift image crashes the process later.
    consuming func load() throws(Untrusted) -> EntryFunction {
        let name = path
        let source = "/proc/self/fd/\(descriptor.number)"
        let handle = dlopen(source, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)
        guard let handle else {
            let problem = dlerror().map { String(cString: $0) } ?? "unknown error"
            throw Untrusted(
                "\(name) cannot be loaded as a shared library: "
                    + problem.replacing(source, with: name))
        }
        descriptor.keepOpen()
        guard let symbol = dlsym(handle, "goclaw_channel_entry") else {
            throw Untrusted("\(name) does not export the function goclaw_channel_entry")
        }
        // The header gives the symbol this type; a library that lies about it cannot be told from one that
        // does not.
        return EntryFunction(call: unsafeBitCast(symbol, to: EntryFunction.Pointer.self))
    }
}

/// A library's one exported function.
struct EntryFunction: Sendable {
    typealias Pointer =
        @convention(c) @Sendable (UnsafePointer<goclaw_host>?) -> UnsafePointer<goclaw_channel>?

    let call: Pointer
}

/// A plugin that has started.
///
/// `@unchecked Sendable`: the plugin's tables live as long as the process and do not change; what `instance`
/// points to is the plugin's, which promises to take its calls on the threads the header says.
struct Plugin: @unchecked Sendable {
    let table: goclaw_channel
    let abi: ABIVersion
    let identity: CallOutput.Identity
    let limits: ChannelLimits
    let instance: UnsafeMutableRawPointer?

    /// Starts a plugin: entry, describe, create.
    ///
    /// - Throws: why it is refused.
    init(
        entry: EntryFunction, manifest: PluginManifest, configuration: String, host: HostContext
    ) throws(Untrusted) {
        let services = host.services
        let hostTable = host.makeTable()
        guard let pointer = entry.call(hostTable) else {
            let complaint = services.lastComplaint.map { ": \($0)" } ?? ", and did not log why"
            throw Untrusted("goclaw_channel_entry returned no table\(complaint)")
        }
        (table, abi) = try Self.checkedTable(pointer)

        let sink = PluginSink()
        sink.begin(.describe, services: services, call: nil)
        let described = table.describe(pointer, sink.table)
        let description = sink.end()
        guard described == goclaw_status(GOCLAW_OK), let identity = description.identity else {
            throw Untrusted(
                (description.reasonMessage ?? description.brokenRule.map { "it \($0)" })
                    .map { "it does not describe itself: \($0)" }
                    ?? "describe answered with status \(described) and no description, expected both")
        }
        guard identity.id == manifest.id.text, identity.version == manifest.version else {
            throw Untrusted(
                "the library says that it is \(quoted(identity.id)) \(quoted(identity.version)), its manifest "
                    + "says \(quoted(manifest.id.text)) \(quoted(manifest.version)): install the two together"
            )
        }
        self.identity = identity

        var instance: UnsafeMutableRawPointer?
        sink.begin(.create, services: services, call: nil)
        let created = withText(configuration) { [table] configuration in
            table.create(pointer, hostTable, configuration, sink.table, &instance)
        }
        let output = sink.end()
        guard created == goclaw_status(GOCLAW_OK) else {
            throw Untrusted(
                "it cannot be configured: "
                    + (output.reasonMessage ?? output.brokenRule.map { "it \($0)" }
                        ?? "create answered with status \(created) and without a reason"))
        }
        limits = output.limits ?? ChannelLimits()
        self.instance = instance
    }

    /// Ends the instance; nothing may be calling it.
    func destroy() { table.destroy(instance) }

    private static func checkedTable(
        _ pointer: UnsafePointer<goclaw_channel>
    ) throws(Untrusted) -> (goclaw_channel, ABIVersion) {
        guard UInt(bitPattern: pointer) % UInt(MemoryLayout<goclaw_channel>.alignment) == 0 else {
            throw Untrusted("goclaw_channel_entry returned a table that is not aligned")
        }
        let abi = ABIVersion(major: pointer.pointee.abi_major, minor: pointer.pointee.abi_minor)
        try abi.check(host: hostABI, what: "the library's table")
        let size = pointer.pointee.size
        guard size >= leastTableSize, let table = read(pointer) else {
            throw Untrusted(
                "the library's table says that it has \(size) bytes, expected at least \(leastTableSize)")
        }
        let required: [(String, Bool)] = [
            ("describe", table.describe != nil), ("create", table.create != nil),
            ("destroy", table.destroy != nil), ("review", table.review != nil),
        ]
        let missing = required.filter { !$0.1 }.map(\.0)
        guard missing.isEmpty else {
            throw Untrusted(
                "the library's table lacks \(missing.joined(separator: ", ")), which are required")
        }
        return (table, abi)
    }
}

/// A channel's table has at least the functions that are required.
package let leastTableSize = UInt32(
    // A member of an imported C struct is stored, so it has an offset.
    (MemoryLayout<goclaw_channel>.offset(of: \.review) ?? 0) + MemoryLayout<UnsafeRawPointer>.size)

private func quoted(_ text: String) -> String {
    "\"" + cleanDeviceText(text, maximumScalars: 64) + "\""
}
