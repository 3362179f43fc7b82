import Foundation
import PairingCore
import Testing

@testable import ChannelHost

@Suite("What a restart would load")
struct FolderTests {
    private static let quickLooks: ChannelCallLimits = {
        var limits = ChannelCallLimits()
        limits.folderLook = .milliseconds(20)
        return limits
    }()

    /// A look at the cage by a process that was started with `host`.
    private func look(_ cage: Cage, _ host: ChannelHost) -> FolderLook {
        FolderLook(directory: cage.folder.path(), failedStarts: host.failedStarts)
    }

    @Test("A folder as it was at the start has nothing new, and nothing is read a second time")
    func unchanged() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try await cage.add("failing_create", as: "sick")
        try cage.writeManifest(for: "sick", ["id": "sick"])
        try await cage.add("tame", as: "twin", flags: ["-g"])
        try cage.write(Data("{}".utf8), "orphan.json")
        let host = cage.load()
        defer { host.shutdown() }
        #expect(
            host.refused.map { URL(filePath: $0.path).lastPathComponent } == [
                "orphan.so", "sick.so", "zoo.so",
            ])
        var look = look(cage, host)
        let survey = look.survey()
        #expect(look.reads == 3)
        #expect(survey == look.survey())
        #expect(look.reads == 3)
        #expect(host.channels.map(survey.outlook) == [.same])
        #expect(survey.newcomers(beside: host.channels) == [])
        #expect(survey.newlyRefused(beside: host.channels, before: host.refused) == [])
    }

    @Test("A replaced library is what a restart would load; what runs goes on as it was")
    func replaced() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        let host = cage.load(limits: Self.quickLooks)
        defer { host.shutdown() }
        let before = host.report
        #expect(before.channels.map(\.outlook) == [.same])
        try await cage.add("other_version", as: "new")
        try cage.writeManifest(for: "new", ["version": "0.9.0"])
        for suffix in ["so", "json"] {
            let new = cage.folder.appending(path: "new.\(suffix)").path()
            try #require(rename(new, cage.folder.appending(path: "zoo.\(suffix)").path()) == 0)
        }
        func found() -> ChannelsReport.Found? {
            if case .other(let plugin) = host.report.channels[0].outlook { plugin } else { nil }
        }
        // A look may have come between the two renames, or before them.
        let path = before.channels[0].library.path
        #expect(try await eventually { found().map { ($0.version, $0.path) == ("0.9.0", path) } ?? false })
        let plugin = try #require(found())
        #expect(plugin.sha256 != before.channels[0].library.sha256)
        #expect(host.report.channels.map(\.library) == before.channels.map(\.library))
        #expect(try await host.review(try claim()).details.count == 1)
        let restarted = cage.load()
        defer { restarted.shutdown() }
        #expect(restarted.channels.map(\.sha256) == [plugin.sha256])
    }

    @Test("A library that was removed is gone with the next start")
    func gone() async throws {
        let cage = try Cage()
        let library = try await cage.add("tame")
        let host = cage.load()
        defer { host.shutdown() }
        var look = look(cage, host)
        #expect(host.channels.map(look.survey().outlook) == [.same])
        try FileManager.default.removeItem(at: cage.folder.appending(path: "zoo.json"))
        #expect(
            host.channels.map(look.survey().outlook) == [
                .refused(
                    "zoo.so has no manifest: expected zoo.json beside it; install the channel again")
            ])
        try FileManager.default.removeItem(at: library)
        let survey = look.survey()
        #expect(host.channels.map(survey.outlook) == [.gone])
        #expect(survey.newlyRefused(beside: host.channels, before: host.refused) == [])
    }

    @Test("A channel under another name is the same channel")
    func renamed() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        let host = cage.load()
        defer { host.shutdown() }
        for suffix in ["so", "json"] {
            try FileManager.default.moveItem(
                at: cage.folder.appending(path: "zoo.\(suffix)"),
                to: cage.folder.appending(path: "animals.\(suffix)"))
        }
        var look = look(cage, host)
        #expect(host.channels.map(look.survey().outlook) == [.same])
    }

    @Test("A file that anyone may write, and a manifest that does not fit, are what a restart would refuse")
    func wouldBeRefused() async throws {
        let cage = try Cage()
        let library = try await cage.add("tame")
        let host = cage.load()
        defer { host.shutdown() }
        var look = look(cage, host)
        func reason() -> String {
            if case .refused(let reason) = look.survey().outlook(of: host.channels[0]) { reason } else { "" }
        }
        #expect(reason() == "")
        try cage.allow(0o777, library)
        #expect(reason().contains("zoo.so is writable by others"))
        try cage.allow(0o755, library)
        #expect(reason() == "")
        try cage.writeManifest(for: "zoo", ["version": "2.0.0"])
        #expect(reason().contains("version 2.0.0, the library is version 1.0.0"))
        try cage.writeManifest(for: "zoo", ["sha256": String(repeating: "0", count: 64)])
        #expect(reason().contains("its manifest says 0000"))
        try cage.writeManifest(for: "zoo")
        try cage.allow(0o777, cage.folder)
        #expect(reason().contains("is writable by others (mode 0777"))
        try cage.allow(0o755, cage.folder)
        #expect(reason() == "")
    }

    @Test("New plugins, good and bad, are told from those that the start knew")
    func newcomers() async throws {
        let cage = try Cage()
        try await cage.add("tame")
        try await cage.add("failing_create", as: "sick")
        try cage.writeManifest(for: "sick", ["id": "sick"])
        let host = cage.load()
        defer { host.shutdown() }
        var look = look(cage, host)
        try await cage.add("tame", as: "new", flags: ["-g"])
        try cage.writeManifest(for: "new", ["id": "new", "version": "3"])
        try cage.write(Data("{}".utf8), "orphan.json")
        var survey = look.survey()
        #expect(survey.newcomers(beside: host.channels).map(\.id.text) == ["new"])
        #expect(survey.newcomers(beside: host.channels).map(\.version) == ["3"])
        #expect(
            survey.newlyRefused(beside: host.channels, before: host.refused).map {
                URL(filePath: $0.path).lastPathComponent
            } == ["orphan.so"])
        // Another library of the channel that failed to start may start.
        try await cage.add("tame", as: "sick", flags: ["-O2"])
        try cage.writeManifest(for: "sick", ["id": "sick"])
        survey = look.survey()
        #expect(survey.newcomers(beside: host.channels).map(\.id.text) == ["new", "sick"])
    }

    @Test("A library that failed to start does not hide the one that was loaded in its place")
    func failedStartFirst() async throws {
        let cage = try Cage()
        try await cage.add("failing_create", as: "a")
        try await cage.add("tame", as: "b")
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.map { URL(filePath: $0.path).lastPathComponent } == ["b.so"])
        var look = look(cage, host)
        let survey = look.survey()
        #expect(host.channels.map(survey.outlook) == [.same])
        #expect(survey.newlyRefused(beside: host.channels, before: host.refused) == [])
    }

    @Test("Where there are no channels no folder is looked at")
    func none() {
        let host = ChannelHost.load(directory: "", logger: quietLogger)
        defer { host.shutdown() }
        #expect(host.report == ChannelsReport())
    }
}
