import CGoClawChannel
import ChannelHost
import Glibc

/// What makes every further check pointless.
struct Unusable: Error {
    /// A sentence.
    var problem: String
}

/// A plugin's table, as the library gave it for one host.
///
/// `@unchecked Sendable`: tables live as long as the process and do not change, and the plugin promises to
/// take its calls on the threads the header says; what it does instead is for the checks to see.
struct PluginTable: @unchecked Sendable {
    let pointer: UnsafePointer<goclaw_channel>
    /// The table, no further than it says it is long, the rest being zero.
    let functions: goclaw_channel
    /// The bytes as they were when the library gave it.
    let bytes: [UInt8]

    var abi: String { "\(functions.abi_major).\(functions.abi_minor)" }

    /// Whether the bytes are what they were.
    var isUnchanged: Bool { Self.bytes(of: pointer) == bytes }

    /// Checks what the entry returned.
    init(_ pointer: UnsafePointer<goclaw_channel>) throws(Unusable) {
        guard UInt(bitPattern: pointer) % UInt(MemoryLayout<goclaw_channel>.alignment) == 0 else {
            throw Unusable(problem: "The entry returned a table that is not aligned.")
        }
        let head = pointer.pointee
        guard head.abi_major == UInt16(GOCLAW_ABI_MAJOR) else {
            throw Unusable(
                problem:
                    "The table says ABI \(head.abi_major).\(head.abi_minor), expected \(GOCLAW_ABI_MAJOR).x.")
        }
        guard head.size >= leastTableSize else {
            throw Unusable(
                problem:
                    "The table says that it has \(head.size) bytes, expected at least \(leastTableSize): set "
                    + "size to sizeof(goclaw_channel).")
        }
        self.pointer = pointer
        bytes = Self.bytes(of: pointer)
        functions = bytes.withUnsafeBytes { bytes in
            withUnsafeTemporaryAllocation(of: goclaw_channel.self, capacity: 1) { copy in
                let target = UnsafeMutableRawBufferPointer(copy)
                _ = target.initializeMemory(as: UInt8.self, repeating: 0)
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(target.count)))
                return copy[0]
            }
        }
        let required: [(String, Bool)] = [
            ("describe", functions.describe != nil), ("create", functions.create != nil),
            ("destroy", functions.destroy != nil), ("review", functions.review != nil),
        ]
        let missing = required.filter { !$0.1 }.map(\.0)
        guard missing.isEmpty else {
            throw Unusable(problem: "The table lacks \(missing.joined(separator: ", ")), required functions.")
        }
    }

    private static func bytes(of pointer: UnsafePointer<goclaw_channel>) -> [UInt8] {
        let count = min(Int(pointer.pointee.size), MemoryLayout<goclaw_channel>.size)
        return Array(UnsafeRawBufferPointer(start: pointer, count: count))
    }

    /// The functions that are there, by their names.
    var names: [String] {
        let all: [(String, Bool)] = [
            ("describe", functions.describe != nil), ("create", functions.create != nil),
            ("destroy", functions.destroy != nil), ("review", functions.review != nil),
            ("get_extension", functions.get_extension != nil),
            ("session_opened", functions.session_opened != nil),
            ("session_closed", functions.session_closed != nil), ("receive", functions.receive != nil),
            ("deliver", functions.deliver != nil), ("tick", functions.tick != nil),
        ]
        return all.filter(\.1).map(\.0)
    }
}

/// A library that is loaded; it is never unloaded.
///
/// `@unchecked Sendable`: a function of the library, which stays where it is.
struct Library: @unchecked Sendable {
    typealias Entry = @convention(c) (UnsafePointer<goclaw_host>?) -> UnsafePointer<goclaw_channel>?

    private let entry: Entry

    /// Loads the library as the servers do.
    init(path: String) throws(Unusable) {
        // A path without a slash would be looked up elsewhere.
        let file = path.contains("/") ? path : "./" + path
        guard let handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            let problem = dlerror().map { String(cString: $0) } ?? "unknown error"
            throw Unusable(problem: "It cannot be loaded as a shared library: \(problem).")
        }
        FaultWatch.watch(libraryAt: file)
        guard let symbol = dlsym(handle, "goclaw_channel_entry") else {
            throw Unusable(problem: "It does not export the function goclaw_channel_entry.")
        }
        // The header gives the symbol this type; a library that lies about it cannot be told from one that
        // does not.
        entry = unsafeBitCast(symbol, to: Entry.self)
    }

    /// Asks for the table for a host.
    func table(for host: TestHost) throws(Unusable) -> PluginTable {
        guard let pointer = entry(host.table) else {
            throw Unusable(
                problem: "The entry returned no table"
                    + (host.lastLine.map { ", after logging: \($0)" } ?? ", and did not log why."))
        }
        return try PluginTable(pointer)
    }
}
