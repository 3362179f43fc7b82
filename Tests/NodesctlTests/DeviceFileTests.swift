import Cryptography
import DeviceClient
import Glibc
import PairingCore
import Testing

@testable import nodesctl

@Suite("A device's state file")
struct DeviceStateFileTests {
    /// A folder of its own for each test.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/nodesctl-test-XXXXXX".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }

        deinit {
            for name in ["state.json", "link.json"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    private func contents(_ credential: DeviceCredential) throws -> DeviceStateFile.Contents {
        DeviceStateFile.Contents(
            channel: try #require(ChannelID("iot")), senderID: try #require(SenderID("pump-1")),
            credential: credential, progress: .init(hasAsked: true, lastMessage: 12))
    }

    @Test("What was saved is loaded again, for a key and for a token", arguments: [true, false])
    func roundTrip(isKey: Bool) throws {
        let folder = try Folder()
        let file = DeviceStateFile(path: folder.path + "/state.json")
        let missing = try file.load()
        #expect(missing.map(\.senderID) == nil)
        try file.save(try contents(isKey ? .makeKey() : .makeToken()))
        let saved = try #require(try file.load())
        try file.save(saved)
        let loaded = try #require(try file.load())
        #expect(loaded.senderID == saved.senderID)
        #expect(loaded.channel == saved.channel)
        #expect(loaded.progress == .init(hasAsked: true, lastMessage: 12))
        switch (saved.credential, loaded.credential) {
        case (.key(let old), .key(let new)): #expect(old.rawRepresentation == new.rawRepresentation)
        case (.token(let old), .token(let new)): #expect(old == new)
        default: Issue.record("another kind of credential came back")
        }
        var status = stat()
        #expect(stat(file.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test("A file that others may read is refused with what to do")
    func refusesOpenFiles() throws {
        let folder = try Folder()
        let file = DeviceStateFile(path: folder.path + "/state.json")
        try file.save(try contents(.makeToken()))
        #expect(chmod(file.path, 0o640) == 0)
        let failure = #expect(throws: CommandFailure.self) { _ = try file.load() }
        #expect(failure?.message.contains("chmod 600") == true)
    }

    @Test("A link, a folder and a file of something else are refused")
    func refusesOtherFiles() throws {
        let folder = try Folder()
        let file = DeviceStateFile(path: folder.path + "/state.json")
        #expect(throws: CommandFailure.self) { _ = try DeviceStateFile(path: folder.path).load() }
        let descriptor = open(file.path, O_CREAT | O_WRONLY, 0o600)
        #expect(writeAll(descriptor, Array("{\"version\":1}".utf8)))
        close(descriptor)
        #expect(throws: CommandFailure.self) { _ = try file.load() }
        #expect(symlink(file.path, folder.path + "/link.json") == 0)
        let link = DeviceStateFile(path: folder.path + "/link.json")
        #expect(throws: CommandFailure.self) { _ = try link.load() }
    }

    @Test("A folder that does not exist is named in the error")
    func namesTheFolder() throws {
        let file = DeviceStateFile(path: "/nonexistent/folder/state.json")
        let new = try contents(.makeToken())
        let failure = #expect(throws: CommandFailure.self) { try file.save(new) }
        #expect(failure?.message.contains("/nonexistent/folder/state.json") == true)
    }
}

@Suite("A device's address")
struct DeviceAddressTests {
    @Test(
        "The parts of a URL",
        arguments: [
            ("ws://127.0.0.1:8080/ws", "127.0.0.1", 8080, "/ws", "http://127.0.0.1:8080"),
            ("WS://Nodes.Example.org", "nodes.example.org", 80, "/", "http://nodes.example.org"),
            ("ws://[::1]:9000/ws?x=1", "::1", 9000, "/ws?x=1", "http://[::1]:9000"),
            ("ws://localhost:80/ws", "localhost", 80, "/ws", "http://localhost"),
        ])
    func parts(url: String, host: String, port: Int, path: String, origin: String) throws {
        let address = try DeviceAddress(url)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.path == path)
        #expect(address.origin.text == origin)
    }

    @Test("A tunnel's end is dialled, and the public origin is signed for")
    func tunnel() throws {
        let served = try #require(Origin("https://nodes.example.org"))
        let address = try DeviceAddress("ws://127.0.0.1:9000/ws", served: served)
        #expect(address.port == 9000)
        #expect(address.origin == served)
    }

    @Test(
        "Anything else is refused",
        arguments: [
            "", "wss://nodes.example.org/ws", "http://127.0.0.1/ws", "ws://", "ws:///ws", "ws://user@host/ws",
            "ws://host:0/ws", "ws://host:65536/ws", "ws://host/a b", "ws://host/#part", "ws://host/\r\nX: y",
        ])
    func refused(url: String) {
        let failure = #expect(throws: CommandFailure.self) { try DeviceAddress(url) }
        #expect(failure?.status == .usage)
    }
}
