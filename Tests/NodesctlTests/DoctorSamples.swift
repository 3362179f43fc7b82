import PairingCore
import PairingStore

@testable import nodesctl

/// Everything as it should be; each test spoils one thing.
struct DoctorSample {
    static let now = Timestamp(milliseconds: 1_800_000_000_000)

    var configuration = ConfigurationFacts(
        file: FileFacts(
            path: "/etc/goclaw-nodes/nodes.json", kind: .file, owner: 0, group: 900, mode: 0o640, size: 400),
        account: AccountFacts(name: "goclaw-nodes", user: 900, groups: [900]),
        settings: ConfigurationFacts.Settings(),
        keyFiles: [
            .init(
                agent: "helpful",
                file: FileFacts(
                    path: "/etc/goclaw-nodes/key", kind: .file, owner: 900, group: 900, mode: 0o600, size: 40)
            )
        ],
        templates: FileFacts(
            path: "/usr/share/goclaw-nodes/templates/layout.mustache", kind: .file, mode: 0o644, size: 900))
    var webAccount = AccountFacts(name: "www-data", user: 33, groups: [33, 900])
    var sockets = [
        DoctorSample.socket(.gateway, "/run/goclaw-nodes/gateway-0.sock"),
        DoctorSample.socket(.gateway, "/run/goclaw-nodes/gateway-1.sock"),
        DoctorSample.socket(.kernel, "/run/goclaw-nodes/kernel-0.sock"),
    ]
    var nginx = DoctorSample.nginxText
    var certificate = CertificateFacts(
        path: "/etc/goclaw-nodes/tls/fullchain.pem",
        key: FileFacts(path: "/etc/goclaw-nodes/tls/privkey.pem", kind: .file, mode: 0o600, size: 200),
        content: .success(
            .init(
                notBefore: DoctorSample.now + .seconds(-86_400 * 30),
                notAfter: DoctorSample.now + .seconds(86_400 * 60), missingHosts: [])))
    var database = DatabaseFacts(
        condition: .success(PairingStore.Condition()), clockAhead: .milliseconds(-3),
        clockTolerance: .milliseconds(2),
        disk: DiskFacts(folder: "/var/lib/postgresql", freeBytes: 50 << 30, totalBytes: 100 << 30),
        gateways: 2, kernels: 1)

    init() {
        configuration.settings?.origins = ["https://nodes.example.org"].compactMap { Origin($0) }
    }

    /// What the checks find, without what is well.
    var findings: [Finding] {
        var nginxFacts = NginxFacts(path: "/etc/nginx/nginx.conf", sites: sites)
        nginxFacts.certificates = [certificate]
        nginxFacts.processors = 2
        nginxFacts.now = Self.now
        let settings = configuration.settings ?? .init()
        let all =
            ConfigurationChecks.findings(configuration)
            + SocketChecks.findings(
                sockets, webAccount: webAccount, gatewaySockets: settings.gatewaySockets)
            + NginxChecks.findings(nginxFacts, settings, gateways: 2)
            + DatabaseChecks.findings(database)
        return all.filter { $0.severity != .ok }
    }

    private var sites: Result<NginxSites, NginxParser.Problem> {
        var parser = NginxParser { _ in [] }
        do throws(NginxParser.Problem) {
            return .success(NginxSites(try parser.parse(nginx, named: "nginx.conf")))
        } catch {
            return .failure(error)
        }
    }

    /// Changes what the database says of itself.
    mutating func spoilDatabase(_ change: (inout PairingStore.Condition) -> Void) {
        guard case .success(var condition) = database.condition else { return }
        change(&condition)
        database.condition = .success(condition)
    }

    private static func socket(_ server: SocketFacts.Server, _ path: String) -> SocketFacts {
        SocketFacts(
            server: server,
            file: FileFacts(path: path, kind: .socket, owner: 900, group: 900, mode: 0o660),
            listener: .present(.init(pid: 4711, user: 900, openFiles: 65536)))
    }

    static let nginxText = """
        user www-data;
        worker_processes auto;
        worker_rlimit_nofile 65536;
        worker_shutdown_timeout 5m;
        events { worker_connections 32768; }
        http {
            client_max_body_size 64k;
            upstream nodes_gateways {
                server unix:/run/goclaw-nodes/gateway-0.sock max_fails=0;
                server unix:/run/goclaw-nodes/gateway-1.sock max_fails=0;
            }
            upstream nodes_kernels { server unix:/run/goclaw-nodes/kernel-0.sock max_fails=0; }
            server {
                listen 443 ssl http2;
                listen [::]:443 ssl http2;
                server_name nodes.example.org;
                ssl_certificate /etc/goclaw-nodes/tls/fullchain.pem;
                ssl_certificate_key /etc/goclaw-nodes/tls/privkey.pem;
                location = /ws {
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Real-IP $remote_addr;
                    proxy_read_timeout 120s;
                    proxy_send_timeout 2m;
                    proxy_pass http://nodes_gateways;
                }
                location / {
                    fastcgi_read_timeout 60s;
                    fastcgi_pass nodes_kernels;
                }
            }
            server {
                listen 127.0.0.1:8081;
                location ~ ^/gateway/0/(healthz|readyz|metrics)$ {
                    proxy_pass http://unix:/run/goclaw-nodes/gateway-0.sock:/$1;
                }
            }
        }
        """
}
