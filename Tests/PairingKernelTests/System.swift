import Agents
import ChannelHost
import Cryptography
import Foundation
import Logging
import PairingCore
import PairingStore
import Postgres
import PostgresTestSupport
import ServiceLifecycle
import Synchronization
import Testing

@testable import PairingKernel

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// One gateway's kernel, with all its services.
struct Instance: Sendable {
    let kernel: Kernel
    let sessions: DeviceSessions
    let pool: PostgresPool
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    /// - Parameters:
    ///   - agents: the first one answers every channel.
    ///   - listens: whether notifications reach it.
    init(
        _ number: Int, url: String, settings: PairingSettings, agents: [any Agent] = [],
        listens: Bool = true, configure: (inout PostgresConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = try PostgresConfiguration(url)
        configuration.maximumConnections = 6
        configuration.applicationName = "instance-\(number)"
        configuration.acquireTimeout = .seconds(30)
        configure(&configuration)
        pool = PostgresPool(configuration: configuration, logger: quietLogger)
        kernel = try Kernel(
            store: PairingStore(pool: pool), channels: try await Self.channels.value, settings: settings,
            clock: { .wallClock }, logger: quietLogger)
        let channels = kernel.channels.channels.map(\.id)
        let listener = PostgresListener(
            configuration: configuration, channels: StoreHints.channels, logger: quietLogger)
        sessions = DeviceSessions(
            kernel: kernel, instanceID: try #require(InstanceID(UUID().uuidString)),
            name: "instance-\(number)",
            hints: StoreHints(listener),
            agents: try Self.directory(agents, channels), logger: quietLogger)
        let services: [any Service] = (listens ? [listener] : []) + [sessions, kernel.sweeper()]
        let group = ServiceGroup(services: services, logger: quietLogger)
        self.group = group
        running = Task { try await group.run() }
        let sessions = sessions
        try await eventually("authority") { sessions.hasAuthority }
    }

    /// The first agent is every channel's default.
    private static func directory(_ agents: [any Agent], _ channels: [ChannelID]) throws -> AgentDirectory {
        guard let first = agents.first else { return try AgentDirectory() }
        return try AgentDirectory(
            agents, defaults: Dictionary(channels.map { ($0, first.name) }, uniquingKeysWith: { $1 }))
    }

    /// Stops gracefully.
    func stop() async throws {
        await group.triggerGracefulShutdown()
        try await running.value
        await pool.close()
    }

    /// Gone at once, as a process that is killed.
    func kill() async {
        running.cancel()
        await pool.close()
        _ = await running.result
    }

    /// The channels `zoo`, whose plugin does nothing, and `obedient`, whose plugin does what messages tell it;
    /// loaded once, since libraries are never unloaded.
    static let channels = Task { () -> ChannelHost in
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "goclaw-kernel-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(at: folder) }
        try await install("tame", as: "zoo", in: folder)
        try await install("obedient", as: "obedient", in: folder)
        let host = ChannelHost.load(directory: folder.path(), logger: quietLogger)
        try #require(host.channels.count == 2, "\(host.refused)")
        return host
    }

    /// Builds an animal of the zoo, and writes its manifest.
    private static func install(_ animal: String, as name: String, in folder: URL) async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let library = folder.appending(path: "\(name).so")
        try await compile([
            "-I", root.appending(path: "Sources/CGoClawChannel/include").path(),
            root.appending(path: "Tests/PluginZoo/\(animal).c").path(), "-o", library.path(),
        ])
        let digest = sha256(Array(try Data(contentsOf: library)))
        let manifest = [
            "id": name, "version": "1.0.0", "abi": "1.0",
            "sha256": digest.map { byte in
                let text = String(byte, radix: 16)
                return byte < 16 ? "0" + text : text
            }.joined(),
        ]
        try JSONEncoder().encode(manifest).write(to: folder.appending(path: "\(name).json"))
        for file in ["\(name).so", "\(name).json"] {
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o644], ofItemAtPath: folder.appending(path: file).path())
        }
    }

    /// Runs the compiler on a thread that may wait, unlike those that all tests share.
    private static func compile(_ arguments: [String]) async throws {
        try await withCheckedThrowingContinuation { continuation in
            compilers.async {
                continuation.resume(
                    with: Result {
                        let compiler = Process()
                        compiler.executableURL = URL(filePath: "/usr/bin/env")
                        compiler.arguments =
                            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC"] + arguments
                        try compiler.run()
                        compiler.waitUntilExit()
                    })
            }
        }
    }

    private static let compilers = DispatchQueue(label: "compilers")

    // MARK: - What tests do again and again

    /// A socket that is open on this instance.
    func socket(_ address: String = "192.0.2.7") throws -> RecordingSocket {
        let socket = RecordingSocket(address: try #require(ClientAddress(address)))
        sessions.attach(socket)
        return socket
    }

    /// Asks to pair and waits for the decision on a socket.
    func ask(_ device: TestDevice, on socket: RecordingSocket) async throws -> PairingTicket {
        let peer = try TestPeer.fresh(address: socket.address.description)
        let answer = try await sessions.requestPairing(try device.claim(to: peer), from: peer, on: socket)
        guard case .pending(let ticket) = answer else { throw TimedOut(description: "paired already") }
        return ticket
    }

    /// Connects a paired device on a socket.
    @discardableResult
    func connect(_ device: TestDevice, on socket: RecordingSocket) async throws -> SessionGrant {
        let peer = try TestPeer.fresh(address: socket.address.description)
        let identity = try device.identity(.connect, to: peer)
        guard case .paired(let grant) = try await sessions.connect(identity, from: peer, on: socket) else {
            throw TimedOut(description: "still pending")
        }
        sessions.begin(grant, on: socket)
        return grant
    }

    /// What a connection of the device is refused with.
    func refusal(of device: TestDevice) async throws -> Refusal? {
        do throws(Refusal) {
            let peer: Peer
            let identity: DeviceIdentity
            do {
                peer = try TestPeer.fresh()
                identity = try device.identity(.connect, to: peer)
            } catch {
                throw Refusal(.internal, "test", "\(error)")
            }
            let socket = RecordingSocket(address: peer.address)
            sessions.attach(socket)
            _ = try await sessions.connect(identity, from: peer, on: socket)
            return nil
        } catch {
            return error
        }
    }

    func approve(_ ticket: PairingTicket) async throws {
        _ = try await kernel.administration.approve(ticket.requestID, code: ticket.code, by: System.admin)
    }

    /// A device that is paired by way of this instance.
    func pair(_ sender: String, channel: String = "zoo") async throws -> TestDevice {
        let device = try TestDevice(sender, channel: channel)
        let socket = try socket()
        try await approve(try await ask(device, on: socket))
        sessions.detach(socket)
        return device
    }

    func revoke(_ device: TestDevice) async throws {
        _ = try await kernel.administration.revoke(
            device.senderID, channel: nil, generation: nil, by: System.admin)
    }
}

/// Several instances over one database.
enum System {
    static let admin = Authority(
        actor: .administrator("maria"), scope: .administer, source: .commandLine)

    static var settings: PairingSettings {
        get throws {
            var settings = PairingSettings(
                origins: OriginPolicy([try #require(Origin("https://nodes.example.org"))]))
            settings.requestsPerAddress = 1000
            settings.deliveryPause = .milliseconds(10)
            settings.requestsTotal = 100_000
            // A machine that is too busy to run this process is not what a test is about.
            settings.authorityGrace = .seconds(300)
            return settings
        }
    }

    /// A database with the schema, dropped afterwards.
    static func withDatabase(_ body: (String) async throws -> Void) async throws {
        try await Turnstile.databases.pass {
            let cluster = try await PostgresCluster.shared
            let template = try await cluster.template("kernel_schema") { try await migrate($0) }
            try await cluster.withDatabase(template: template) { try await body($0) }
        }
    }

    static func migrate(_ url: String) async throws {
        let pool = PostgresPool(configuration: try PostgresConfiguration(url), logger: quietLogger)
        _ = try await MigrationRunner(migrations: Schema.migrations).migrate(pool)
        await pool.close()
    }

    /// Runs `body` with two instances.
    static func run(
        agents: [any Agent] = [], listens: Bool = true,
        settings change: (inout PairingSettings) -> Void = { _ in },
        _ body: (_ one: Instance, _ two: Instance) async throws -> Void
    ) async throws {
        var settings = try settings
        change(&settings)
        let final = settings
        try await withDatabase { url in
            let one = try await Instance(1, url: url, settings: final, agents: agents, listens: listens)
            let two = try await Instance(2, url: url, settings: final, agents: agents, listens: listens)
            let result: Result<Void, any Error>
            do { result = .success(try await body(one, two)) } catch { result = .failure(error) }
            await one.kill()
            await two.kill()
            try result.get()
        }
    }
}
