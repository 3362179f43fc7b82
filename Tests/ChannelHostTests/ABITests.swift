import ChannelHost
import Foundation
import PairingCore
import Testing

@Suite("The plugin ABI")
struct ABITests {
    private let current = repository.appending(path: "Sources/CGoClawChannel/include/goclaw_channel.h")
    private let frozen = repository.appending(path: "Tests/abi/v1/goclaw_channel.h")

    @Test(
        "The header compiles without a warning as C11 and as C++17",
        arguments: [
            ("gcc", ["-std=c11", "-x", "c"]), ("gcc", ["-std=c++17", "-x", "c++"]),
            ("clang", ["-std=c11", "-x", "c"]), ("clang", ["-std=c++17", "-x", "c++"]),
        ])
    func compiles(compiler: String, flags: [String]) async throws {
        let result = try await run(
            compiler,
            flags + [
                "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-fsyntax-only",
                "-include", current.path(), "/dev/null",
            ])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test("A plugin built against the frozen header of version 1.0 loads and works")
    func frozenPlugin() async throws {
        let cage = try Cage()
        try await cage.add(
            "plugin", source: repository.appending(path: "Tests/abi/v1/plugin.c"),
            headers: repository.appending(path: "Tests/abi/v1"))
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.refused == [])
        #expect(host.channels.map(\.abi) == ["1.0"])
        #expect(try await host.review(try claim()).details.count == 1)
        let (session, frames) = try await host.open(try opening()) { _ in }
        #expect(frames.map(\.event) == ["welcome"])
        let message = ChannelDeviceMessage(
            number: 1, id: "later", receivedAt: Timestamp(milliseconds: 0), body: "{}")
        #expect(try await host.receive(message, in: session).messages.map(\.body) == ["1"])
        let said = try await host.deliver(ChannelAgentMessage(number: 5, body: "{}"), in: session)
        #expect(said.map(\.payload) == [#"{"number":5,"body":{},"part":-1}"#])
        host.close(session, reason: "bye")
        #expect(try await eventually { host.status[0].values["closed"] == 1 })
        #expect(try await eventually { (host.status[0].values["ticks"] ?? 0) >= 1 })
    }

    @Test("Every table and record of version 1.0 is the beginning of today's")
    func growsAtTheEnd() throws {
        let old = try Header(frozen)
        let new = try Header(current)
        #expect(old.structs.count == 11)
        for (name, body) in old.structs {
            let today = try #require(new.structs[name], "\(name) is gone")
            #expect(today.starts(with: body), "\(name) changed otherwise than at its end")
        }
        for (name, value) in old.constants where name != "GOCLAW_ABI_MINOR" {
            #expect(new.constants[name] == value, "\(name)")
        }
    }

    @Test("Every change of the ABI has a dated line and a minor version of its own")
    func changeLog() throws {
        let old = try Header(frozen)
        let new = try Header(current)
        #expect(new.log.count >= 1)
        #expect(Array(new.log.prefix(old.log.count)) == old.log)
        #expect(new.log.last?.version == "1.\(try #require(new.constants["GOCLAW_ABI_MINOR"]))")
        #expect(new.log.map(\.date) == new.log.map(\.date).sorted())
        #expect(Set(new.log.map(\.version)).count == new.log.count)
        let isUnchanged = old.structs == new.structs && old.constants == new.constants
        #expect(isUnchanged == (new.log.count == old.log.count))
    }

    @Test("Every function of the header has a thread line and an ownership line")
    func documented() throws {
        let text = try String(contentsOf: current, encoding: .utf8)
        let function = try Regex(#"\(\*\w+\)\s*\(|goclaw_channel_entry\("#)
        var comment = ""
        var isInComment = false
        var count = 0
        for line in text.split(separator: "\n") {
            if line.contains("/*") { comment = "" }
            if line.contains("/*") || isInComment {
                comment += line + "\n"
                isInComment = !line.contains("*/")
                continue
            }
            guard line.firstMatch(of: function) != nil else { continue }
            count += 1
            #expect(comment.contains("Threads:"), "\(line)")
            #expect(comment.contains("Ownership:"), "\(line)")
        }
        #expect(count == 27)
    }
}

/// What the tests read out of a header.
private struct Header {
    /// A line of the change log.
    struct Change: Equatable {
        var date: String
        var version: String
    }

    /// The members of each struct, without comments and white space, by its name.
    var structs: [String: String] = [:]
    /// Macros and enumerators, by their names.
    var constants: [String: String] = [:]
    var log: [Change] = []

    init(_ file: URL) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        for match in text.matches(of: /(?m)^ \*   (\d{4}-\d{2}-\d{2})  (\d+\.\d+)  \S/) {
            log.append(Change(date: String(match.1), version: String(match.2)))
        }
        let code = text.replacing(/(?s)\/\*.*?\*\//, with: "")
        for match in code.matches(of: /(?s)struct (goclaw_\w+) \{(.*?)\n\}/) {
            structs[String(match.1)] = match.2.filter { !$0.isWhitespace }
        }
        for match in code.matches(of: /(?m)^#define (GOCLAW_ABI_\w+) (\d+)$/) {
            constants[String(match.1)] = String(match.2)
        }
        for match in code.matches(of: /(?m)^ +(GOCLAW_\w+) = (\d+)/) {
            constants[String(match.1)] = String(match.2)
        }
    }
}
