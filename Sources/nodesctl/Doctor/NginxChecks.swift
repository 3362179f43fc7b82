import PairingCore

/// What was learnt of nginx.
struct NginxFacts: Sendable {
    /// The configuration's first file.
    var path: String
    /// What it says, or why it cannot be read.
    var sites: Result<NginxSites, NginxParser.Problem>
    /// Every certificate that the sites name.
    var certificates: [CertificateFacts] = []
    /// The processors of this machine, for `worker_processes auto`.
    var processors = 1
    /// The time of the look.
    var now = Timestamp(milliseconds: 0)
}

/// A certificate with its key, as nginx's configuration names them.
struct CertificateFacts: Equatable, Sendable {
    var path: String
    var key: FileFacts?
    /// What the file holds, or why it cannot be read.
    var content: Result<Content, DatabaseFacts.Problem>

    struct Content: Equatable, Sendable {
        var notBefore: Timestamp
        var notAfter: Timestamp
        /// Of the public origins' hosts, those that the certificate does not name.
        var missingHosts: [String]
    }
}

/// nginx's configuration against ours.
enum NginxChecks {
    static func findings(
        _ facts: NginxFacts, _ settings: ConfigurationFacts.Settings, gateways: Int
    ) -> [Finding] {
        let sites: NginxSites
        switch facts.sites {
        case .success(let read): sites = read
        case .failure(let problem) where problem.isOfAccess:
            return [
                .skipped(
                    "nginx.configuration", facts.path, problem.text,
                    advice:
                        "Name nginx's configuration with --nginx, and run nodesctl doctor as somebody who may read it."
                )
            ]
        case .failure(let problem):
            return [
                .error(
                    "nginx.configuration", facts.path, found: problem.text,
                    expected: "a configuration that nginx accepts", advice: "Correct it; nginx -t says more.")
            ]
        }
        guard !sites.sites.isEmpty else {
            return [
                .error(
                    "nginx.site", facts.path, found: "no server passes /ws on",
                    expected: "a server like that of nginx/production.conf",
                    advice: "Begin from nginx/production.conf, or name nginx's configuration with --nginx.")
            ]
        }
        return sites.sites.flatMap { webSockets($0, settings) + pages($0, settings) }
            + http3(sites) + origins(sites, settings) + upstreams(sites) + statusListener(sites)
            + workers(facts, sites, settings, gateways)
            + facts.certificates.flatMap { certificate($0, now: facts.now) }
    }

    // What devices come through.

    private static func webSockets(
        _ site: NginxSites.Site, _ settings: ConfigurationFacts.Settings
    ) -> [Finding] {
        let scope = site.webSockets
        let subject = "\(site.name), location /ws"
        var findings = ["proxy_read_timeout", "proxy_send_timeout"].map { name in
            let text = scope.value(name) ?? "60s"
            let found = "\(name) \(text)\(scope.value(name) == nil ? " (nginx's default)" : "")"
            let check = "nginx.websocket_timeouts"
            if let time = NginxQuantity.time(text), time > settings.silenceTimeout {
                return Finding.ok(check, subject, found)
            }
            return .error(
                check, subject, found: found,
                expected:
                    "more than gateway.silence_timeout (\(settings.silenceTimeout.seconds) s): else nginx "
                    + "cuts healthy devices off",
                advice: "Set \(name) \(settings.silenceTimeout.seconds + 45)s; in this location.")
        }
        let headers = Dictionary(
            scope.all("proxy_set_header").map { (($0.first ?? "").lowercased(), $0.last ?? "") },
            uniquingKeysWith: { _, last in last })
        let expected = [
            ("upgrade", "$http_upgrade"), ("host", "$http_host"), ("x-real-ip", "$remote_addr"),
        ]
        let check = "nginx.websocket_headers"
        for (name, value) in expected where headers[name] != value {
            findings.append(
                .error(
                    check, subject, found: "the header \(name) is \(headers[name] ?? "not set")",
                    expected: value,
                    advice: "Use nginx/snippets/gateway.conf, which sets it."))
        }
        if scope.value("proxy_http_version") != "1.1" {
            findings.append(
                .error(
                    check, subject, found: "proxy_http_version \(scope.value("proxy_http_version") ?? "1.0")",
                    expected: "1.1, without which nothing is upgraded",
                    advice: "Use nginx/snippets/gateway.conf, which sets it."))
        }
        if !findings.contains(where: { $0.check == check }) {
            findings.append(.ok(check, subject, "as expected"))
        }
        return findings
    }

    // What people come through.

    private static func pages(_ site: NginxSites.Site, _ settings: ConfigurationFacts.Settings) -> [Finding] {
        guard let scope = site.pages else {
            return [
                .warning(
                    "nginx.pages", site.name, found: "no location / with a fastcgi_pass",
                    expected: "the pages beside /ws, on the same origin",
                    advice: "Begin from nginx/production.conf.")
            ]
        }
        let subject = "\(site.name), location /"
        return [
            keptConnections(scope, subject), pageTimeout(scope, subject, settings),
            body(scope, subject, settings),
        ]
    }

    private static func keptConnections(_ scope: NginxScope, _ subject: String) -> Finding {
        let check = "nginx.fastcgi_keep_conn"
        let found = scope.value("fastcgi_keep_conn") ?? "off"
        if found == "off" { return .ok(check, subject, "fastcgi_keep_conn off") }
        return .error(
            check, subject, found: "fastcgi_keep_conn \(found)",
            expected: "off: a kernel's thread stays with a connection that is kept, and pages wait for it",
            advice: "Use nginx/snippets/kernel.conf, or take the line out.")
    }

    private static func pageTimeout(
        _ scope: NginxScope, _ subject: String, _ settings: ConfigurationFacts.Settings
    ) -> Finding {
        let check = "nginx.page_timeout"
        let text = scope.value("fastcgi_read_timeout") ?? "60s"
        if let time = NginxQuantity.time(text), time > settings.requestTimeout {
            return .ok(check, subject, "fastcgi_read_timeout \(text)")
        }
        return .warning(
            check, subject, found: "fastcgi_read_timeout \(text)",
            expected:
                "more than kernel.request_timeout (\(settings.requestTimeout.seconds) s), so that it is the "
                + "kernel that says why a page took too long",
            advice: "Set fastcgi_read_timeout \(settings.requestTimeout.seconds * 2)s;")
    }

    private static func body(
        _ scope: NginxScope, _ subject: String, _ settings: ConfigurationFacts.Settings
    ) -> Finding {
        let check = "nginx.body_size"
        let text = scope.value("client_max_body_size") ?? "1m"
        let size = NginxQuantity.size(text) ?? 0
        let most = max(1 << 20, settings.maximumBody)
        if (settings.maximumBody...most).contains(size) {
            return .ok(check, subject, "client_max_body_size \(text)")
        }
        return .warning(
            check, subject, found: "client_max_body_size \(text)",
            expected: "kernel.maximum_body (\(settings.maximumBody) bytes), or little more",
            advice: "Set client_max_body_size \(settings.maximumBody >> 10)k;")
    }

    // Who is reached where.

    /// nginx has no `$http_host` in HTTP/3 (nginx's ticket 2281), and the one in its place lacks the port.
    private static func http3(_ sites: NginxSites) -> [Finding] {
        sites.sites.filter { $0.listens.contains(where: \.isQUIC) }.map {
            .error(
                "nginx.http3", $0.name, found: "a listen line with quic",
                expected: "HTTP/1.1 and HTTP/2: of HTTP/3 nginx does not say which host was dialled",
                advice: "Leave quic and http3 out; its requests are answered with 421.")
        }
    }

    private static func origins(
        _ sites: NginxSites, _ settings: ConfigurationFacts.Settings
    ) -> [Finding] {
        let check = "nginx.origins"
        let listens = sites.sites.flatMap(\.listens)
        return settings.origins.map { origin in
            let wanted = origin.isSecure ? "\(origin.dialledPort) with ssl" : "\(origin.dialledPort)"
            if listens.contains(where: { $0.port == origin.dialledPort && $0.isTLS == origin.isSecure }) {
                return .ok(check, origin.text, "nginx listens on \(wanted)")
            }
            let found = Set(
                listens.map { ($0.port.map(String.init) ?? "a unix socket") + ($0.isTLS ? " with ssl" : "") })
            return .warning(
                check, origin.text, found: "nginx listens on \(found.sorted().joined(separator: ", "))",
                expected: "a server that listens on \(wanted) and passes /ws on",
                advice:
                    "Correct gateway.public_origins or the listen lines. Where something before nginx takes this "
                    + "address, leave it.")
        }
    }

    private static func upstreams(_ sites: NginxSites) -> [Finding] {
        let check = "nginx.upstreams"
        let lines = sites.servers(of: "proxy_pass") + sites.servers(of: "fastcgi_pass")
        let counted = lines.filter { !$0.name.isEmpty && !$0.parameters.contains("max_fails=0") }
        if counted.isEmpty { return [.ok(check, "upstream", "\(lines.count) servers")] }
        return counted.map {
            .warning(
                check, "upstream \($0.name), \($0.address)", found: "max_fails is not 0",
                expected: "max_fails=0, so that a process which starts again is back at once",
                advice: "Write server \($0.address) max_fails=0;")
        }
    }

    private static func statusListener(_ sites: NginxSites) -> [Finding] {
        let check = "nginx.status_listener"
        if sites.publicStatus.isEmpty {
            return [.ok(check, "health and metrics", "answered on the loopback alone, or nowhere")]
        }
        return sites.publicStatus.map {
            .error(
                check, $0.name, found: "health and metrics are answered beyond the loopback",
                expected: "listen 127.0.0.1:8081;", advice: "Let this server listen on 127.0.0.1 alone.")
        }
    }

    // nginx itself.

    private static func workers(
        _ facts: NginxFacts, _ sites: NginxSites, _ settings: ConfigurationFacts.Settings, _ gateways: Int
    ) -> [Finding] {
        let main = sites.main
        let events = NginxScope(
            blocks: sites.main.blocks
                + sites.main.blocks.flatMap { $0 }.filter { $0.name == "events" }
                .compactMap(\.block))
        let each = events.value("worker_connections").flatMap { Int($0) } ?? 512
        let workers = main.value("worker_processes").flatMap { Int($0) } ?? facts.processors
        let files = main.value("worker_rlimit_nofile").flatMap { Int($0) }
        let (needed, available) = (2 * gateways * settings.gatewaySockets, each * workers)
        let found = "\(workers) workers with worker_connections \(each)"
        var findings: [Finding] = [
            available >= needed
                ? .ok("nginx.worker_connections", facts.path, found)
                : .warning(
                    "nginx.worker_connections", facts.path, found: found,
                    expected: "\(needed) in all: a device takes two, and \(gateways) gateways hold "
                        + "\(settings.gatewaySockets) each (gateway.sockets)",
                    advice: "Set worker_connections \((needed + workers - 1) / max(workers, 1));")
        ]
        if let files, files < each {
            findings.append(
                .warning(
                    "nginx.open_files", facts.path, found: "worker_rlimit_nofile \(files)",
                    expected: "at least worker_connections (\(each))",
                    advice: "Set worker_rlimit_nofile \(each + 256);"))
        } else if files == nil, each > 1024 {
            findings.append(
                .warning(
                    "nginx.open_files", facts.path, found: "no worker_rlimit_nofile",
                    expected: "at least worker_connections (\(each))",
                    advice: "Set worker_rlimit_nofile \(each + 256);"))
        } else {
            findings.append(.ok("nginx.open_files", facts.path, "worker_rlimit_nofile \(files ?? 1024)"))
        }
        return findings + [shutdown(main, facts.path)]
    }

    private static func shutdown(_ main: NginxScope, _ path: String) -> Finding {
        let check = "nginx.worker_shutdown_timeout"
        let text = main.value("worker_shutdown_timeout")
        if let text, let time = NginxQuantity.time(text), time > .zero, time <= .seconds(3600) {
            return .ok(check, path, "worker_shutdown_timeout \(text)")
        }
        return .warning(
            check, path, found: text.map { "worker_shutdown_timeout \($0)" } ?? "no worker_shutdown_timeout",
            expected:
                "a time of at most an hour: after a reload the old workers live as long as any device stays",
            advice: "Set worker_shutdown_timeout 5m; at the top of nginx.conf.")
    }

    private static func certificate(_ facts: CertificateFacts, now: Timestamp) -> [Finding] {
        let check = "nginx.certificate"
        let content: CertificateFacts.Content
        switch facts.content {
        case .success(let read): content = read
        case .failure(let problem):
            return [
                .error(
                    check, facts.path, found: problem.text, expected: "a certificate in PEM",
                    advice: "Put it there, or run nodesctl doctor as root, who may read it.")
            ]
        }
        var findings: [Finding] = []
        let days = (content.notAfter - now).seconds / 86_400
        if content.notAfter <= now || content.notBefore > now {
            findings.append(
                .error(
                    check, facts.path,
                    found: content.notAfter <= now
                        ? "it ended at \(content.notAfter.text)" : "it begins at \(content.notBefore.text)",
                    expected: "a certificate that is valid now", advice: "Renew it and reload nginx."))
        } else if days < 14 {
            findings.append(
                .warning(
                    check, facts.path, found: "it ends in \(days) days, at \(content.notAfter.text)",
                    expected: "14 days or more",
                    advice: "Renew it and reload nginx; see why nothing did by itself."))
        }
        for host in content.missingHosts {
            findings.append(
                .warning(
                    check, facts.path, found: "it does not name \(host)",
                    expected: "every host of gateway.public_origins that this server serves",
                    advice: "Get a certificate that names it."))
        }
        if let key = facts.key, key.isReadableByAll || key.isWritableByOthers {
            findings.append(
                .error(
                    "nginx.certificate_key", key.path, found: "mode \(key.modeText)",
                    expected: "mode 0600 or 0640",
                    advice: "chmod 0600 it, and get another certificate: the key is known to all."))
        }
        return findings.isEmpty ? [.ok(check, facts.path, "ends at \(content.notAfter.text)")] : findings
    }
}

extension Duration {
    /// Whole seconds, rounded towards zero.
    fileprivate var seconds: Int64 { components.seconds }
}
