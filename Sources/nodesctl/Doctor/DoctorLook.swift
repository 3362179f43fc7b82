import ChannelHost
import Glibc
import Logging
import NodesConfiguration
import NodesProcess
import PairingCore
import PairingStore
import Postgres

/// Gathers what the checks of `nodesctl doctor` judge, and lets them judge it. It changes nothing.
struct DoctorLook: Sendable {
    /// The configuration file; `nil` where the environment alone decides.
    var file: String?
    /// nginx's configuration file.
    var nginx: String
    /// The folder of PostgreSQL's data, where it was named.
    var postgresData: String?

    /// Looks at everything and judges it. Takes a few seconds where something does not answer.
    func diagnosis() async -> Diagnosis {
        var problems: [String] = []
        var process: NodesProcess?
        do {
            process = try await NodesProcess(
                program: "nodesctl", file: file, for: .server, loadsChannels: false, logLevel: .critical)
        } catch let error as ConfigurationError {
            problems = error.problems
        } catch {
            problems = [String(describing: error)]
        }
        let settings = process.map { ConfigurationFacts.Settings($0.configuration) }

        // As whoever runs the command: root sees most.
        let nginxFacts = NginxLook(path: nginx).facts(origins: settings?.origins ?? [])
        let sites = try? nginxFacts.sites.get()
        let sockets = socketFacts(sites, settings)
        let webAccount = sites.flatMap { account(ofWorkers: $0) }

        // From here on as the servers' account, where that is possible.
        let servers = serversAccount(sockets)
        let isServersAccount = servers.become()
        let configurationFacts = configurationFacts(problems, settings, process, account: servers)
        var findings = isServersAccount ? [] : [note(of: servers)]
        findings += ConfigurationChecks.findings(configurationFacts)
        findings += SocketChecks.findings(
            sockets, webAccount: webAccount, gatewaySockets: settings?.gatewaySockets)
        let gateways = max(1, sockets.count { $0.server == .gateway })
        let kernels = max(1, sockets.count { $0.server == .kernel })
        guard let process, let settings else { return Diagnosis(findings: findings) }
        findings += NginxChecks.findings(nginxFacts, settings, gateways: gateways)
        let directory = process.configuration.channels.directory
        findings += PluginChecks.findings(
            settings.hasChannels ? FolderSurvey(of: directory) : nil, directory: directory)
        var database = await DatabaseLook(process: process, dataFolder: postgresData).facts()
        database.gateways = gateways
        database.kernels = kernels
        await process.pool.close()
        return Diagnosis(findings: findings + DatabaseChecks.findings(database))
    }

    private func note(of servers: AccountFacts) -> Finding {
        .skipped(
            "doctor.account", operatingSystemAccount(), "the servers run as \(servers.name)",
            advice:
                "Run nodesctl doctor as \(servers.name) or as root: what it may see here may differ from what they may."
        )
    }

    // The configuration.

    private func configurationFacts(
        _ problems: [String], _ settings: ConfigurationFacts.Settings?, _ process: NodesProcess?,
        account: AccountFacts
    ) -> ConfigurationFacts {
        var facts = ConfigurationFacts(problems: problems, account: account, settings: settings)
        facts.file = file.map { FileFacts(lookingAt: $0) }
        facts.templates = process.map {
            FileFacts(lookingAt: $0.configuration.templatesDirectory + "/layout.mustache")
        }
        if let file, let bytes = contents(of: file), let json = try? JSONValue(parsing: bytes),
            case .object(let agents)? = json["agents"]
        {
            facts.keyFiles = agents.sorted { $0.key < $1.key }.compactMap { name, agent in
                agent["key_file"]?.string.map { .init(agent: name, file: FileFacts(lookingAt: $0)) }
            }
        }
        return facts
    }

    // The sockets and who is behind them.

    private func socketFacts(
        _ sites: NginxSites?, _ settings: ConfigurationFacts.Settings?
    ) -> [SocketFacts] {
        func facts(_ server: SocketFacts.Server, _ pass: String, _ configured: String?) -> [SocketFacts] {
            var paths = sites?.sockets(of: pass) ?? []
            // What nginx passes to counts: the environment may set another path for each process.
            if paths.isEmpty, let configured { paths = [configured] }
            return paths.map { path in
                let file = FileFacts(lookingAt: path)
                let listener: SocketFacts.Listener =
                    file.kind == .socket ? SocketFacts.Listener(at: path) : .unknown("it is no socket")
                return SocketFacts(server: server, file: file, listener: listener)
            }
        }
        return facts(.gateway, "proxy_pass", settings?.gatewaySocket)
            + facts(.kernel, "fastcgi_pass", settings?.kernelSocket)
    }

    private func serversAccount(_ sockets: [SocketFacts]) -> AccountFacts {
        for socket in sockets {
            if case .present(let process) = socket.listener { return AccountFacts(user: process.user) }
        }
        return AccountFacts(user: geteuid())
    }

    private func account(ofWorkers sites: NginxSites) -> AccountFacts? {
        // Started by somebody else, nginx's workers are whoever that is.
        sites.main.value("user").flatMap { AccountFacts(name: $0) }
    }
}

extension ConfigurationFacts.Settings {
    fileprivate init(_ configuration: NodesConfiguration) {
        origins = configuration.gateway.publicOrigins
        gatewaySocket = configuration.gateway.socket
        kernelSocket = configuration.kernel.socket
        silenceTimeout = configuration.gateway.silenceTimeout
        requestTimeout = configuration.kernel.requestTimeout
        maximumBody = configuration.kernel.maximumBody
        gatewaySockets = configuration.gateway.sockets
        poolSize = configuration.database.poolSize
        hasChannels = configuration.edition == .standard
    }
}

/// Asks the database what the checks want to know.
struct DatabaseLook: Sendable {
    var process: NodesProcess
    /// Where its data is, if somebody said so.
    var dataFolder: String?

    func facts() async -> DatabaseFacts {
        let store = PairingStore(pool: process.pool)
        let condition: PairingStore.Condition
        let (before, after): (Timestamp, Timestamp)
        do {
            // Before anything else, which a pooler could refuse with words of its own.
            try await SessionCheck.verify(process.database)
            // The first statement waits for a connection, which would blur the clock.
            try await process.pool.ping()
            before = .now
            condition = try await store.condition()
            after = .now
        } catch {
            return DatabaseFacts(condition: .failure(.init(text: Self.text(of: error))))
        }
        var facts = DatabaseFacts(condition: .success(condition))
        facts.poolSize = process.configuration.database.poolSize
        facts.clockTolerance = .milliseconds((after - before).milliseconds / 2 + 1)
        facts.clockAhead = condition.clock - (before + .milliseconds((after - before).milliseconds / 2))
        facts.lack = await lack(store)
        facts.listenProblem = await listenProblem()
        if let folder = dataFolder ?? (condition.isRemote ? nil : condition.dataFolder) {
            facts.disk = DiskFacts(of: folder)
        }
        return facts
    }

    private func lack(_ store: PairingStore) async -> String? {
        do {
            if let lack = try await store.lack() { return lack }
            _ = try await MigrationRunner(migrations: Schema.migrations).status(process.pool)
            return nil
        } catch {
            return Self.text(of: error)
        }
    }

    private func listenProblem() async -> String? {
        do {
            try await PostgresListener.verifyListenWorks(
                configuration: process.database, timeout: .seconds(3))
            return nil
        } catch {
            return Self.text(of: error)
        }
    }

    /// An operator may read what the server said; it helps to find out why.
    private static func text(of error: any Error) -> String {
        error is PostgresError ? String(reflecting: error) : String(describing: error)
    }
}
