import Glibc
import Testing

@testable import DeviceGateway

@Suite("The listening socket")
struct ListeningSocketTests {
    /// A folder of the test's own, and the path of a socket in it.
    static func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/nodes-test-XXXXXX".utf8CString)
        let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            unlink(folder + "/s")
            rmdir(folder)
        }
        try body(folder + "/s")
    }

    @Test("It has mode 0660, and goes away with its owner")
    func mode() throws {
        try Self.withFolder { path in
            let socket = try ListeningSocket.bind(path: path)
            defer { Glibc.close(socket.descriptor) }
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o660)
            socket.unlinkIfOwn()
            #expect(lstat(path, &status) != 0)
        }
    }

    @Test("What a dead process left is replaced")
    func stale() throws {
        try Self.withFolder { path in
            Glibc.close(try ListeningSocket.bind(path: path).descriptor)
            let socket = try ListeningSocket.bind(path: path)
            Glibc.close(socket.descriptor)
        }
    }

    @Test("A socket that was replaced is not taken away by its old owner")
    func replaced() throws {
        try Self.withFolder { path in
            // Bound and not listening, it answers nobody.
            let dead = try ListeningSocket.bind(path: path)
            defer { Glibc.close(dead.descriptor) }
            let socket = try ListeningSocket.bind(path: path)
            defer { Glibc.close(socket.descriptor) }
            dead.unlinkIfOwn()
            var status = stat()
            #expect(lstat(path, &status) == 0)
        }
    }

    @Test("A socket that answers is left alone")
    func live() throws {
        try Self.withFolder { path in
            let socket = try ListeningSocket.bind(path: path)
            defer { Glibc.close(socket.descriptor) }
            #expect(listen(socket.descriptor, 1) == 0)
            #expect { try ListeningSocket.bind(path: path) } throws: {
                "\($0)".contains("Another process answers")
            }
        }
    }

    @Test("What is not a socket is left alone")
    func file() throws {
        try Self.withFolder { path in
            Glibc.close(creat(path, 0o600))
            #expect { try ListeningSocket.bind(path: path) } throws: { "\($0)".contains("not a socket") }
        }
    }

    @Test("A path that is too long, or in a folder that is not there, is refused with the reason")
    func paths() {
        let long = "/tmp/" + String(repeating: "x", count: 103)
        #expect { try ListeningSocket.bind(path: long) } throws: { "\($0)".contains("108 bytes") }
        #expect { try ListeningSocket.bind(path: "/nowhere/s") } throws: { "\($0)".contains("No such file") }
    }
}
