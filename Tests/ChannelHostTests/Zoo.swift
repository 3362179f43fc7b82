import Cryptography
import Foundation
import Logging
import PairingCore
import Testing

@testable import ChannelHost

/// The repository.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// The folder the tests were built into, where the channels' libraries are too.
let builtProducts = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()

/// Runs a program. Many compilers run here at a time; the threads that all tests share don't wait for them.
///
/// - Returns: its exit status and everything it wrote.
@discardableResult
func run(_ program: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
    try await withCheckedThrowingContinuation { continuation in
        programs.async {
            continuation.resume(
                with: Result {
                    let process = Process()
                    let output = Pipe()
                    process.executableURL = URL(filePath: "/usr/bin/env")
                    process.arguments = [program] + arguments
                    process.standardOutput = output
                    process.standardError = output
                    try process.run()
                    let data = try output.fileHandleForReading.readToEnd() ?? Data()
                    process.waitUntilExit()
                    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
                })
        }
    }
}

/// Starts one program after the other, so that the compilers of hundreds of tests don't crowd out the rest.
private let programs = DispatchQueue(label: "programs")

/// A folder of plugins, gone with the test.
final class Cage: Sendable {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "goclaw-zoo-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// Builds an animal of the zoo and puts it here with a manifest that fits.
    @discardableResult
    func add(
        _ animal: String, as name: String = "zoo", source: URL? = nil, headers: URL? = nil,
        flags: [String] = []
    ) async throws -> URL {
        let zoo = repository.appending(path: "Tests/PluginZoo")
        let source = source ?? zoo.appending(path: "\(animal).c")
        let headers = headers ?? repository.appending(path: "Sources/CGoClawChannel/include")
        let library = folder.appending(path: "\(name).so")
        let built = try await run(
            "gcc",
            ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
                + ["-I", headers.path(), source.path(), "-o", library.path()] + flags)
        try #require(built.status == 0, "\(built.output)")
        try allow(0o755, library)
        try writeManifest(for: name)
        return library
    }

    /// Writes a manifest that fits the library of that name, but for what is given.
    func writeManifest(for name: String, _ changes: [String: String?] = [:]) throws {
        let library = try Data(contentsOf: folder.appending(path: "\(name).so"))
        var manifest: [String: String?] = [
            "id": "zoo", "version": "1.0.0", "abi": "1.0", "sha256": hexadecimal(sha256(Array(library))),
        ]
        manifest.merge(changes) { $1 }
        try write(try JSONEncoder().encode(manifest.compactMapValues { $0 }), "\(name).json")
    }

    /// Writes a file that only its owner may change.
    func write(_ data: Data, _ name: String) throws {
        let file = folder.appending(path: name)
        try data.write(to: file)
        try allow(0o644, file)
    }

    func allow(_ mode: Int, _ file: URL) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path())
    }

    func load(
        _ configurations: [String: String] = [:], limits: ChannelCallLimits = ChannelCallLimits()
    ) -> ChannelHost {
        ChannelHost.load(
            directory: folder.path(), configurations: configurations, limits: limits, logger: quietLogger)
    }

    /// Loads a folder that has one plugin, to be refused.
    ///
    /// - Returns: the reason.
    func refusal(limits: ChannelCallLimits = ChannelCallLimits()) throws -> String {
        let host = load(limits: limits)
        defer { host.shutdown() }
        #expect(host.channels.isEmpty)
        #expect(host.refused.count == 1)
        return try #require(host.refused.first).reason
    }
}

/// A logger that keeps nothing.
let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A claim of a device of the zoo.
func claim(
    _ senderID: String = "tiger-1", channel: String = "zoo", metadata: String = "", hasKey: Bool = false
) throws -> ChannelClaim {
    ChannelClaim(
        channel: try #require(ChannelID(channel)), senderID: try #require(SenderID(senderID)),
        displayName: "A device", metadata: metadata, hasKey: hasKey)
}

/// What a call is refused with.
func refusal<Value>(_ body: () async throws -> Value) async throws -> Refusal? {
    do {
        _ = try await body()
        return nil
    } catch let refusal as Refusal {
        return refusal
    }
}

/// Waits until it holds, for at most that long.
func eventually(
    within limit: Duration = .seconds(60), _ condition: () -> Bool
) async throws -> Bool {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    while !condition() {
        guard clock.now < deadline else { return false }
        try await clock.sleep(for: .milliseconds(5))
    }
    return true
}
