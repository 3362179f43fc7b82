import ChannelHost
import Foundation
import PairingCore
import Synchronization
import Testing

@Suite("The plugin ABI")
struct ABITests {
    private let current = repository.appending(path: "Sources/CGoClawChannel/include/goclaw_channel.h")

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

    @Test(
        "A plugin built against the frozen header of version 1.1 loads and works, and what it declares is kept"
    )
    func frozenPluginOfMinorOne() async throws {
        let cage = try Cage()
        try await cage.add(
            "plugin", source: repository.appending(path: "Tests/abi/v1.1/plugin.c"),
            headers: repository.appending(path: "Tests/abi/v1.1"))
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.refused == [])
        #expect(host.channels.map(\.abi) == ["1.1"])
        var declared = ChannelDeclarations()
        declared.batchMessages = 10
        declared.batchTime = .milliseconds(500)
        declared.silencePeriods = [.seconds(60), .seconds(3600)]
        declared.commandLifetime = .seconds(30)
        declared.pushHook = "wake_up"
        #expect(host.channels.map(\.declarations) == [declared])
        let frames = Frames()
        let (session, _) = try await host.open(try opening(), onFrame: { frames.append($0) }) { _ in }
        // Not before the device was greeted.
        #expect(try await eventually { host.status[0].values["frames"] == nil })
        let typing = ChannelDeviceMessage(
            number: 1, id: "t", receivedAt: Timestamp(milliseconds: 0), body: #"{"type":"typing"}"#)
        let taken = try await host.receive(typing, in: session)
        #expect(taken.isEphemeral)
        #expect(taken.messages == [] && taken.frames.map(\.event) == ["seen"])
        #expect(frames.all.isEmpty)
        session.greeted()
        #expect(try await eventually { frames.all.count >= 3 })
        #expect(frames.all.allSatisfy { $0.event == "tick" })
        let numbers = frames.all.compactMap { Int($0.payload.filter(\.isNumber)) }
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        host.close(session, reason: "bye")
        #expect(try await eventually { host.status[0].sessions == 0 })
        let count = frames.all.count
        let ticks = host.status[0].values["frames"]
        #expect(try await eventually { host.status[0].values["frames"] == ticks })
        #expect(frames.all.count == count)
        #expect(host.status[0].misbehaviours == 0)
    }

    @Test(
        "A plugin built against the frozen header of version 1.2 loads and works, and what it says of its devices is kept"
    )
    func frozenPluginOfMinorTwo() async throws {
        let cage = try Cage()
        try await cage.add(
            "plugin", source: repository.appending(path: "Tests/abi/v1.2/plugin.c"),
            headers: repository.appending(path: "Tests/abi/v1.2"))
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.refused == [])
        #expect(host.channels.map(\.abi) == ["1.2"])
        #expect(host.channels.map(\.declarations.typing) == [true])
        let (often, _) = try await host.open(try opening("often")) { _ in }
        #expect(often.silencePeriods == [.seconds(3), .seconds(6)])
        let (never, _) = try await host.open(try opening("never")) { _ in }
        #expect(never.silencePeriods == [])
        let (session, _) = try await host.open(try opening("any")) { _ in }
        #expect(session.silencePeriods == nil)
        func output(of body: String) async throws -> ChannelOutput {
            let message = ChannelDeviceMessage(
                number: 1, id: "m", receivedAt: Timestamp(milliseconds: 0), body: body)
            return try await host.receive(message, in: session)
        }
        #expect(
            try await output(of: "\"read\"")
                == ChannelOutput(receipts: [
                    ChannelReceipt(number: 4, state: .delivered), ChannelReceipt(number: 4, state: .read),
                    ChannelReceipt(number: 5, state: .read),
                ]))
        #expect(try await output(of: "\"hidden\"") == ChannelOutput(isEphemeral: true, background: true))
        #expect(try await output(of: "\"shown\"") == ChannelOutput(background: false))
        #expect(host.status[0].misbehaviours == 0)
    }

    @Test(
        "What makes no sense of a device is the plugin's fault",
        arguments: ["number", "state", "ephemeral"])
    func senselessWord(id: String) async throws {
        let cage = try Cage()
        try await cage.add("wrong_word")
        let host = cage.load()
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let message = ChannelDeviceMessage(
            number: 1, id: id, receivedAt: Timestamp(milliseconds: 0), body: "1")
        let refused = try await refusal { try await host.receive(message, in: session) }
        #expect(refused?.reason == "channel_failed")
    }

    @Test("Silence periods of a device that are not ascending are the plugin's fault")
    func senselessSilence() async throws {
        let cage = try Cage()
        try await cage.add("wrong_word")
        let host = cage.load()
        defer { host.shutdown() }
        let refused = try await refusal { try await host.open(try opening("falling")) { _ in } }
        #expect(refused?.reason == "channel_failed")
    }

    @Test("A plugin of version 1.0 declares nothing")
    func declaresNothing() async throws {
        let cage = try Cage()
        try await cage.add(
            "plugin", source: repository.appending(path: "Tests/abi/v1/plugin.c"),
            headers: repository.appending(path: "Tests/abi/v1"))
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.map(\.declarations.isEmpty) == [true])
    }

    @Test(
        "A declaration that makes no sense refuses the plugin, for its value",
        arguments: [
            ("batch_messages = 1001", "batch_messages 1001, expected up to 1,000"),
            ("batch_ms = 5", "batch_ms 5, expected up to a day, with batch_messages"),
            (
                "command_lifetime_ms = UINT64_MAX",
                "command_lifetime_ms 18446744073709551615, expected up to a year"
            ),
            ("silence_count = 9", "9 silence periods, expected up to 8"),
            ("silence_count = 1", "1 silence periods, expected up to 8 at silence_periods_ms"),
            (
                "silence_count = 2; description.silence_periods_ms = falling",
                "silence periods [60000, 60000], expected each greater than the one before"
            ),
            ("push_hook = zoo_text(\"Wake up\")", "a push_hook that is not [a-z][a-z0-9_]{0,63}"),
        ])
    func senselessDeclaration(assignment: String, said: String) async throws {
        let cage = try Cage()
        try await cage.add("declares", flags: ["-DASSIGNMENT=description.\(assignment)"])
        let reason = try cage.refusal()
        #expect(
            reason.hasPrefix(
                "it does not describe itself: it put a description into the sink of describe that has"))
        #expect(reason.contains(said), "\(reason)")
    }

    @Test(
        "A message that is ephemeral and for an agent at once is the plugin's fault",
        arguments: ["first", "last"])
    func ephemeralMessage(id: String) async throws {
        let cage = try Cage()
        try await cage.add("half_ephemeral")
        let host = cage.load()
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening()) { _ in }
        let message = ChannelDeviceMessage(
            number: 1, id: id, receivedAt: Timestamp(milliseconds: 0), body: "1")
        let refused = try await refusal { try await host.receive(message, in: session) }
        #expect(refused?.reason == "channel_failed")
    }

    @Test("Frames of a tick are bounded, which breaks no rule, and are sent only where tick succeeds")
    func boundedFrames() async throws {
        let cage = try Cage()
        try await cage.add("chatty")
        let host = cage.load()
        defer { host.shutdown() }
        let frames = Frames()
        let (session, _) = try await host.open(try opening(), onFrame: { frames.append($0) }) { _ in }
        session.greeted()
        #expect(try await eventually { frames.all.count >= 1024 })
        #expect(host.status[0].values["most_at_once"] == 1024)
        #expect(host.status[0].misbehaviours == 0)
        // What a failing tick put into the sink is not sent.
        let (failing, _) = try await host.open(try opening("failing"), onFrame: { frames.append($0) }) { _ in
        }
        failing.greeted()
        #expect(try await eventually { host.status[0].misbehaviours >= 2 })
        #expect(frames.all.allSatisfy { $0.event == "chat" })
    }

    @Test(
        "Every table and record of a frozen version is the beginning of today's",
        arguments: ["v1", "v1.1", "v1.2"])
    func growsAtTheEnd(version: String) throws {
        let old = try Header(repository.appending(path: "Tests/abi/\(version)/goclaw_channel.h"))
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

    @Test(
        "Every change of the ABI has a dated line and a minor version of its own",
        arguments: ["v1", "v1.1", "v1.2"])
    func changeLog(version: String) throws {
        let old = try Header(repository.appending(path: "Tests/abi/\(version)/goclaw_channel.h"))
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
        #expect(count == 32)
    }
}

/// What a channel sent by itself.
private final class Frames: Sendable {
    private let frames = Mutex<[ChannelFrame]>([])

    var all: [ChannelFrame] { frames.withLock { $0 } }

    func append(_ frame: ChannelFrame) { frames.withLock { $0.append(frame) } }
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
