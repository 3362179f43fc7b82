import Foundation
import PairingCore
import Testing

@testable import NodesConfiguration

/// Reads a configuration whose file holds `json`, with what every configuration needs in the environment.
func load(
    _ json: String? = nil, _ environment: [String: String] = [:],
    for program: NodesConfiguration.Program = .command
) async throws -> NodesConfiguration {
    let variables = environment.merging(["DATABASE_URL": "postgresql:///nodes"]) { given, _ in given }
    guard let json else {
        return try await NodesConfiguration.load(file: nil, environment: variables, for: program)
    }
    return try await load(Data(json.utf8), variables, for: program)
}

private func load(
    _ contents: Data, _ environment: [String: String], for program: NodesConfiguration.Program
) async throws -> NodesConfiguration {
    let file = FileManager.default.temporaryDirectory.appending(component: "nodes-\(UUID().uuidString).json")
    try contents.write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try await NodesConfiguration.load(file: file.path(), environment: environment, for: program)
}

/// What is said against a file of these bytes.
private func problems(of contents: Data) async -> String {
    do {
        _ = try await load(contents, ["DATABASE_URL": "postgresql:///nodes"], for: .command)
        return ""
    } catch {
        return "\(error)"
    }
}

/// What is said against a configuration; empty where it is accepted.
func problems(
    _ json: String? = nil, _ environment: [String: String] = [:],
    for program: NodesConfiguration.Program = .command
) async -> String {
    do {
        _ = try await load(json, environment, for: program)
        return ""
    } catch {
        return "\(error)"
    }
}

@Suite("Configuration")
struct ConfigurationTests {
    @Test("Without a file every setting has its documented default")
    func defaults() async throws {
        let configuration = try await load()
        #expect(configuration.edition == .standard)
        #expect(configuration.gateway.pairingCodeTTL == .seconds(3600))
        #expect(configuration.gateway.authorityLease == .seconds(10))
        #expect(configuration.gateway.maximumMessageBeforeConnect == 65_536)
        #expect(configuration.gateway.maximumMessage == 524_288)
        #expect(configuration.gateway.requestsTotal == 1000)
        #expect(configuration.kernel.threads == 32)
        #expect(configuration.session.absoluteTimeout == .seconds(7 * 86400))
        #expect(!configuration.approveRequiresTypedCode)
        #expect(configuration.logLevel == .info)
        #expect(configuration.channels.configurations.isEmpty)
    }

    @Test("The environment overrides the file, and the file overrides the default")
    func precedence() async throws {
        let json = #"{"gateway": {"pairing_code_ttl": "90s", "pairing_cooldown": "2m"}, "edition": "lite"}"#
        let configuration = try await load(json, ["GATEWAY_PAIRING_CODE_TTL": "30s"])
        #expect(configuration.gateway.pairingCodeTTL == .seconds(30))
        #expect(configuration.gateway.pairingCooldown == .seconds(120))
        #expect(configuration.edition == .lite)
    }

    @Test(
        "An unknown key of the file is refused by its name",
        arguments: [
            (#"{"gateway": {"pairing_code_tll": "90s"}}"#, "gateway.pairing_code_tll"),
            (#"{"gatway": {"pairing_code_ttl": "90s"}}"#, "gatway.pairing_code_ttl"),
            (#"{"gateway": {"pairing_code_ttl": {"value": "90s"}}}"#, "gateway.pairing_code_ttl.value"),
            (#"{"channels": {"iot": {}}}"#, "channels.iot"),
            (#"{"frobnicate": null}"#, "frobnicate"),
        ])
    func unknownKey(json: String, key: String) async {
        #expect(await problems(json).contains("\(key) is not a setting"))
    }

    @Test(
        "A section that is no object is refused as one, with a setting that it may hold",
        arguments: [
            (#"{"gateway": "x"}"#, "gateway is refused; expected an object with settings such as gateway."),
            (
                #"{"database": []}"#,
                "database is refused; expected an object with settings such as database.url"
            ),
            (#"{"kernel": null}"#, "kernel is refused; expected an object"),
        ])
    func noSection(json: String, said: String) async {
        let problems = await problems(json)
        #expect(problems.contains(said), "\(problems)")
    }

    @Test("A file that cannot be read is refused in the system's words, once")
    func unreadableFile() async {
        for (path, said) in [
            ("/nowhere/nodes.json", "/nowhere/nodes.json cannot be read: No such file or directory"),
            ("/etc", "/etc cannot be read: it is no file; expected one with a JSON object"),
        ] {
            do {
                _ = try await NodesConfiguration.load(file: path, environment: [:], for: .command)
                Issue.record("\(path) was read")
            } catch {
                #expect(error.problems == [said])
            }
        }
    }

    @Test("An unknown variable with one of our prefixes is refused; other software's variables are not")
    func unknownVariables() async {
        #expect(await problems(nil, ["GATEWAY_PAIRING_TTL": "1m"]).contains("GATEWAY_PAIRING_TTL is not"))
        #expect(await problems(nil, ["KERNEL_THREAD": "1"]).contains("KERNEL_THREAD is not"))
        let foreign = [
            "DATABASE_HOST": "x", "SESSION_MANAGER": "x", "LOG_FILE": "x", "GATEWAY_SERVICE_HOST": "10.0.0.1",
            "GATEWAY_SERVICE_PORT_HTTP": "80", "GATEWAY_PORT": "tcp://10.0.0.1:80",
            "GATEWAY_PORT_80_TCP": "x", "KERNELS": "2", "PATH": "/bin",
        ]
        #expect(await problems(nil, foreign).isEmpty)
    }

    @Test(
        "A bad value is refused with the key, the value and what is expected",
        arguments: [
            ("GATEWAY_PAIRING_CODE_TTL", "60", "60m"), ("GATEWAY_PAIRING_CODE_TTL", "9s", "10s to 1d"),
            ("GATEWAY_PAIRING_CODE_TTL", "-5m", "duration"), ("GATEWAY_PAIRING_CODE_TTL", "1.5h", "duration"),
            ("GATEWAY_PAIRING_CODE_TTL", "25h", "10s to 1d"), ("GATEWAY_PAIRING_CODE_TTL", "", "duration"),
            ("GATEWAY_PAIRING_CODE_TTL", "99999999999999999d", "duration"),
            ("GATEWAY_MAXIMUM_MESSAGE", "64kb", "KiB"), ("GATEWAY_MAXIMUM_MESSAGE", "1MiB", "1KiB to 576KiB"),
            ("GATEWAY_MAXIMUM_METADATA", "17KiB", "256 to 16KiB"),
            ("KERNEL_THREADS", "0", "1 to 512"), ("KERNEL_THREADS", "many", "whole number"),
            ("APPROVE_REQUIRE_TYPED_CODE", "perhaps", "true or false"),
            ("EDITION", "deluxe", "standard, lite"), ("LOG_LEVEL", "loud", "one of trace"),
            ("KERNEL_SOCKET", "relative.sock", "absolute path"),
            ("KERNEL_SOCKET", "/" + String(repeating: "x", count: 107), "107 bytes"),
            ("GATEWAY_PUBLIC_ORIGINS", "nodes.example.org", "https://nodes.example.org"),
        ])
    func badValue(variable: String, value: String, expected: String) async {
        let said = await problems(nil, [variable: value])
        #expect(said.contains(variable) && said.contains("“\(value)”") && said.contains(expected))
    }

    @Test("Everything that is wrong is said at once")
    func everything() async {
        let said = await problems(
            #"{"kernel": {"threads": "x"}, "nonsense": 1}"#, ["GATEWAY_PING_INTERVAL": "x"])
        #expect(said.split(separator: "\n").count == 3)
    }

    @Test("A missing database or, for a server, missing origins stop the start")
    func required() async {
        #expect(await problems(nil, ["DATABASE_URL": ""]).contains("database.url"))
        #expect(await problems(for: .server).contains("gateway.public_origins"))
        #expect(await problems().isEmpty)
    }

    @Test(
        "Origins are a list in the file and separated by commas in the environment, in one spelling",
        arguments: [
            (#"{"gateway": {"public_origins": ["HTTPS://Nodes.Example.org:443/", "http://[::1]:80"]}}"#, [:]),
            (nil, ["GATEWAY_PUBLIC_ORIGINS": "https://nodes.example.org, http://[::1]"]),
        ])
    func origins(json: String?, environment: [String: String]) async throws {
        let origins = try await load(json, environment, for: .server).gateway.publicOrigins
        #expect(origins.map(\.text) == ["https://nodes.example.org", "http://[::1]"])
    }

    @Test("Apps' origins may be listed, and are refused where they would be this server's own")
    func deviceOrigins() async throws {
        let json =
            #"{"gateway": {"device_origins": ["Capacitor://localhost", "tauri://localhost/", "https://app.example"]}}"#
        let origins = try await load(json).gateway.deviceOrigins
        #expect(origins.map(\.text) == ["capacitor://localhost", "tauri://localhost", "https://app.example"])
        #expect(await problems(nil, ["GATEWAY_DEVICE_ORIGINS": "null"]).contains("“null” is refused"))
        #expect(
            await problems(nil, ["GATEWAY_PUBLIC_ORIGINS": "capacitor://localhost"])
                .contains("gateway.device_origins"))
    }

    @Test(
        "A byte order mark of UTF-8 is no part of a file, and one of UTF-16 is named",
        arguments: [
            ([0xEF, 0xBB, 0xBF] + Array(#"{"edition": "lite"}"#.utf8), ""),
            ([0xFF, 0xFE] + "{}".utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }, "UTF-16"),
            ([0xFE, 0xFF] + "{}".utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }, "UTF-16"),
            ("{}".utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }, "UTF-16"),
            ([0xEF, 0xBB, 0xBF] + Array("{\n x".utf8), "line 2 is not JSON"),
        ] as [([UInt8], String)])
    func byteOrderMarks(bytes: [UInt8], expected: String) async throws {
        let said = await problems(of: Data(bytes))
        #expect(expected.isEmpty ? said.isEmpty : said.contains(expected))
    }

    @Test("No message repeats the database's URL, which may hold a password")
    func secret() async {
        let said = await problems(
            #"{"database": {"url": "postgresql://nodes:hunter2@db/nodes"}, "x": 1}"#, ["KERNEL_THREADS": "x"])
        #expect(!said.isEmpty && !said.contains("hunter2"))
    }

    @Test(
        "Values that contradict each other are refused",
        arguments: [
            (["GATEWAY_SILENCE_TIMEOUT": "40s"], "gateway.silence_timeout"),
            (["GATEWAY_MAXIMUM_MESSAGE": "32KiB"], "gateway.maximum_message"),
            (["GATEWAY_OUTBOUND_QUEUE_BYTES": "64KiB"], "gateway.outbound_queue_bytes"),
            (["GATEWAY_SOCKETS": "100"], "gateway.unauthenticated_sockets"),
            (["GATEWAY_REQUESTS_TOTAL": "4"], "gateway.requests_per_address"),
            (["SESSION_ABSOLUTE_TIMEOUT": "1h"], "session.idle_timeout"),
            (["DATABASE_LOCK_TIMEOUT": "11s"], "database.lock_timeout"),
        ])
    func contradictions(environment: [String: String], key: String) async {
        #expect(await problems(nil, environment).contains(key))
    }

    @Test("A channel's section reaches it unchanged, and must be an object under a channel's name")
    func channels() async throws {
        let json =
            #"{"channels": {"config": {"iot": {"strict": true, "n": 1, "list": [{"a": null}], "e": {}}}}}"#
        let configuration = try await load(json)
        let iot = try #require(ChannelID("iot"))
        #expect(
            configuration.channels.configurations
                == [iot: #"{"e":{},"list":[{"a":null}],"n":1,"strict":true}"#])
        #expect(await problems(#"{"channels": {"config": {"IoT!": {}}}}"#).contains("channels.config.IoT!"))
        #expect(await problems(#"{"channels": {"config": {"iot": 1}}}"#).contains("channels.config.iot"))
        #expect(await problems(#"{"channels": {"config": []}}"#).contains("channels.config"))
    }

    @Test("A file that is missing or not JSON is refused with its path and line")
    func unreadable() async {
        #expect(await problems("{\n\"edition\": \"lite\"\n\"log\": {}}").contains("line 3 is not JSON"))
        #expect(await problems("{\"log\": {},\n\"log\": {}}").contains("line 2"))
        #expect(await problems("[]").contains("expected one JSON object"))
        await #expect(throws: ConfigurationError.self) {
            try await NodesConfiguration.load(
                file: "/nonexistent/nodes.json", environment: [:], for: .command)
        }
    }
}
