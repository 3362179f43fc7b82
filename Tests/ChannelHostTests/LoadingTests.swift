import ChannelHost
import Foundation
import PairingCore
import Testing

@Suite("Loading plugins")
struct LoadingTests {
    @Test("A plugin that fits its manifest is loaded and described")
    func tame() async throws {
        let cage = try Cage()
        let library = try await cage.add("tame")
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.refused == [])
        let channel = try #require(host.channels.first)
        #expect(channel.id.text == "zoo")
        #expect(channel.displayName == "Zoo")
        #expect(channel.version == "1.0.0")
        #expect(channel.abi == "1.2")
        #expect(channel.path == library.path())
        #expect(channel.sha256.count == 64)
        #expect(channel.swiftVersion == nil)
        #expect(channel.limits == ChannelLimits())
        let review = try await host.review(try claim())
        #expect(review == ChannelReview(details: [Detail(label: "Animal", value: "tame")]))
    }

    @Test(
        "A plugin with a broken start is refused, with both sides' values",
        arguments: [
            ("no_entry", "does not export the function goclaw_channel_entry"),
            ("unresolved", "undefined symbol: zoo_function_that_nobody_has"),
            ("null_table", "goclaw_channel_entry returned no table: this machine has no giraffe"),
            ("silent_null_table", "goclaw_channel_entry returned no table, and did not log why"),
            ("unaligned_table", "not aligned"),
            ("other_major", "the library's table speaks channel ABI 9.2, this process 1.2"),
            ("small_table", "says that it has 24 bytes, expected at least 48"),
            ("zero_size", "says that it has 0 bytes, expected at least 48"),
            ("null_functions", "lacks destroy, review, which are required"),
            ("other_id", "says that it is \"circus\" \"1.0.0\", its manifest says \"zoo\" \"1.0.0\""),
            ("other_version", "says that it is \"zoo\" \"0.9.0\", its manifest says \"zoo\" \"1.0.0\""),
            ("bad_id", "says that it is \"The [31mZoo\" \"1.0.0\", its manifest says \"zoo\""),
            ("silent_describe", "describe answered with status 0 and no description"),
            ("failing_describe", "describe answered with status 5"),
            ("explaining_describe", "it does not describe itself: The plate of this cage is missing."),
            ("failing_create", "it cannot be configured: visitors is -1, expected 0 or more."),
            ("silent_failing_create", "create answered with status 5 and without a reason"),
        ])
    func brokenStart(animal: String, reason: String) async throws {
        let cage = try Cage()
        try await cage.add(animal)
        let refusal = try cage.refusal()
        #expect(refusal.contains(reason), "\(refusal)")
    }

    @Test("A plugin that does not come back from its start is refused, and the others load")
    func endlessStart() async throws {
        let cage = try Cage()
        try await cage.add("endless_start", as: "endless")
        try cage.writeManifest(for: "endless", ["id": "endless"])
        try await cage.add("tame", as: "zoo")
        var limits = ChannelCallLimits()
        limits.start = .seconds(2)
        let host = cage.load(limits: limits)
        defer { host.shutdown() }
        #expect(host.channels.map(\.id.text) == ["zoo"])
        #expect(host.refused.first?.reason == "its start did not come back within 2000 ms")
    }

    @Test(
        "A file that is no library is refused",
        arguments: [Data(), Data("ELF?".utf8), Data("\u{7F}ELF".utf8), Data("#!/bin/sh\necho hello\n".utf8)])
    func noLibrary(content: Data) throws {
        let cage = try Cage()
        try cage.write(content, "zoo.so")
        try cage.writeManifest(for: "zoo")
        #expect(try cage.refusal().contains("cannot be loaded as a shared library"))
    }

    @Test("A manifest without its library, and a library without its manifest, are refused")
    func halves() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try FileManager.default.removeItem(at: cage.folder.appending(path: "zoo.json"))
        #expect(try cage.refusal().contains("zoo.so has no manifest: expected zoo.json beside it"))
        try cage.writeManifest(for: "zoo")
        try FileManager.default.removeItem(at: cage.folder.appending(path: "zoo.so"))
        #expect(try cage.refusal().contains("the library zoo.so is missing"))
    }

    @Test(
        "A manifest that breaks a rule is refused, with the rule",
        arguments: [
            (["id": nil], "lacks \"id\""), (["sha256": nil], "lacks \"sha256\""),
            (["id": "Zoo!"], "\"id\" is not a channel ID"), (["abi": "one"], "\"abi\" is not a version"),
            (["sha256": "AB"], "\"sha256\" is not 64 hexadecimal digits"),
            (["version": ""], "\"version\" is not 1 to 64 characters"),
            (["abi": "2.0"], "zoo.so's manifest speaks channel ABI 2.0, this process 1.2"),
            (["swift": "5.9.2"], "zoo.so was built with Swift 5.9.2, this process runs on Swift 6."),
            (
                ["sha256": String(repeating: "0", count: 64)],
                "its manifest says 0000000000000000000000000000000000000000000000000000000000000000"
            ),
        ] as [([String: String?], String)])
    func badManifest(changes: [String: String?], reason: String) async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try cage.writeManifest(for: "zoo", changes)
        let refusal = try cage.refusal()
        #expect(refusal.contains(reason), "\(refusal)")
    }

    @Test(
        "A manifest that is not an object of texts is refused",
        arguments: ["", "[]", "{\"id\": 1}", "{\"id\": \"zoo\"", "\u{FEFF}", "null"])
    func noManifest(text: String) async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try cage.write(Data(text.utf8), "zoo.json")
        #expect(try cage.refusal().contains("the manifest zoo.json"))
    }

    @Test("A library whose hash differs is not run, not even its start-up code")
    func hashBeforeCode() async throws {
        let cage = try Cage()
        let trace = cage.folder.appending(path: "trace")
        try await cage.add("constructor", flags: ["-DZOO_TRACE=\"\(trace.path())\""])
        try cage.writeManifest(for: "zoo", ["sha256": String(repeating: "ab", count: 32)])
        #expect(try cage.refusal().contains("install the channel again"))
        #expect(!FileManager.default.fileExists(atPath: trace.path()))
        try cage.writeManifest(for: "zoo")
        cage.load().shutdown()
        #expect(FileManager.default.fileExists(atPath: trace.path()))
    }

    @Test(
        "A library or manifest that others can write is refused", arguments: ["zoo.so", "zoo.json"],
        [0o775, 0o757])
    func writableFile(name: String, mode: Int) async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try cage.allow(mode, cage.folder.appending(path: name))
        let refusal = try cage.refusal()
        #expect(
            refusal.contains("\(name) is writable by others (mode 0\(String(mode, radix: 8))"), "\(refusal)")
    }

    @Test("A folder that others can write is refused, however far above")
    func writableFolder() throws {
        let cage = try Cage()
        let inner = cage.folder.appending(path: "a/b")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
        try cage.allow(0o777, cage.folder.appending(path: "a"))
        let host = ChannelHost.load(directory: inner.path(), logger: quietLogger)
        #expect(host.refused.first?.reason.contains("a is writable by others (mode 0777") == true)
        // The sticky bit alone does not help: the folder must be root's too.
        try cage.allow(0o755, cage.folder.appending(path: "a"))
        try cage.allow(0o770, inner)
        let second = ChannelHost.load(directory: inner.path(), logger: quietLogger)
        #expect(second.refused.first?.reason.contains("b is writable by others (mode 0770") == true)
    }

    @Test("A symbolic link in place of a library or manifest is refused", arguments: ["zoo.so", "zoo.json"])
    func linkedFile(name: String) async throws {
        let cage = try Cage()
        let elsewhere = try Cage()
        try await cage.add("tame")
        let file = cage.folder.appending(path: name)
        let target = elsewhere.folder.appending(path: name)
        try FileManager.default.moveItem(at: file, to: target)
        try FileManager.default.createSymbolicLink(at: file, withDestinationURL: target)
        #expect(try cage.refusal().contains("\(name) is a symbolic link; put the file itself there"))
    }

    @Test("A folder reached through a link that is ours is walked to where it leads")
    func linkedFolder() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        let outer = try Cage()
        let link = outer.folder.appending(path: "channels")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: cage.folder)
        let host = ChannelHost.load(directory: link.path(), logger: quietLogger)
        defer { host.shutdown() }
        #expect(host.channels.count == 1)
        try cage.allow(0o777, cage.folder)
        let refused = ChannelHost.load(directory: link.path(), logger: quietLogger)
        #expect(refused.refused.first?.reason.contains("is writable by others") == true)
    }

    @Test("A FIFO or a folder in place of a library is refused without waiting for it")
    func notRegular() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try FileManager.default.removeItem(at: cage.folder.appending(path: "zoo.so"))
        try #require(try await run("mkfifo", [cage.folder.appending(path: "zoo.so").path()]).status == 0)
        #expect(try cage.refusal().contains("zoo.so is not a regular file"))
    }

    @Test("The same file under two names is loaded once")
    func hardLink() async throws {
        let cage = try Cage()
        let library = try await cage.add("tame", as: "one")
        try FileManager.default.linkItem(at: library, to: cage.folder.appending(path: "two.so"))
        try cage.writeManifest(for: "two", ["id": "other"])
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.count == 1)
        #expect(host.refused.first?.reason.contains("two.so is the same file as one.so") == true)
    }

    @Test("Two plugins of one channel: the first is loaded, the second refused")
    func duplicateChannel() async throws {
        let cage = try Cage()
        try await cage.add("tame", as: "one")
        try await cage.add("tame", as: "two", flags: ["-g"])
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.count == 1)
        let reason = try #require(host.refused.first?.reason)
        #expect(reason.contains("the channel \"zoo\" was loaded from"), "\(reason)")
        #expect(reason.contains("one.so already"), "\(reason)")
    }

    @Test("A plugin of a newer minor version is loaded: what it has more is not looked at")
    func newerMinor() async throws {
        let cage = try Cage()
        try await cage.add("newer_minor")
        try cage.writeManifest(for: "zoo", ["abi": "1.7"])
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.map(\.abi) == ["1.7"])
    }

    @Test("Limits that make no sense leave the host's own in force")
    func oddLimits() async throws {
        let cage = try Cage()
        try await cage.add("odd_limits")
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.map(\.limits) == [ChannelLimits()])
        #expect(host.status.map(\.misbehaviours) == [1])
    }

    @Test("A folder that is not there is refused; no folder means no channels")
    func noFolder() throws {
        let missing = ChannelHost.load(directory: "/nowhere/channels", logger: quietLogger)
        #expect(missing.refused.map(\.path) == ["/nowhere/channels"])
        #expect(missing.refused.first?.reason.hasPrefix("/nowhere cannot be opened: No such file") == true)
        let none = ChannelHost.load(directory: "", logger: quietLogger)
        #expect(none.refused == [])
        #expect(none.channels == [])
    }

    @Test("A plugin replaced on disk changes nothing for whoever has loaded it")
    func replaced() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        let host = cage.load()
        defer { host.shutdown() }
        let before = host.channels
        try await cage.add("null_table", as: "new")
        let new = cage.folder.appending(path: "new.so").path()
        try #require(rename(new, cage.folder.appending(path: "zoo.so").path()) == 0)
        #expect(try await host.review(try claim()).details.count == 1)
        #expect(host.channels == before)
    }
}
