/// Where in nginx's configuration something stands: the blocks around it, the outermost first.
struct NginxScope: Equatable, Sendable {
    var blocks: [[NginxDirective]]

    /// The directives of that name that are in force here: those of the innermost block that has any.
    func all(_ name: String) -> [[String]] {
        for block in blocks.reversed() {
            let found = block.filter { $0.name == name }.map(\.arguments)
            if !found.isEmpty { return found }
        }
        return []
    }

    /// The first argument of the directive that is in force here.
    func value(_ name: String) -> String? { all(name).last?.first }
}

/// What nginx's configuration says of GoClaw Nodes.
struct NginxSites: Equatable, Sendable {
    /// An address that a server listens on.
    struct Listen: Equatable, Sendable {
        /// `nil` for a unix socket.
        var port: Int?
        var isTLS: Bool
        /// Whether it is HTTP/3's.
        var isQUIC: Bool
        /// Whether only this machine reaches it.
        var isLoopback: Bool
    }

    /// A `server` that passes `/ws` on.
    struct Site: Equatable, Sendable {
        var listens: [Listen]
        var server: NginxScope
        var webSockets: NginxScope
        var pages: NginxScope?

        /// What it is called in findings.
        var name: String {
            let names = server.all("server_name").last ?? []
            if let name = names.first, name != "_", !name.isEmpty { return "server \(name)" }
            let port = listens.first?.port.map(String.init) ?? "unix socket"
            return "server on \(port)"
        }
    }

    /// A line of an `upstream`.
    struct Upstream: Equatable, Sendable {
        var name: String
        var address: String
        var parameters: [String]
    }

    var main: NginxScope
    var sites: [Site]
    /// Addresses of listeners, beyond the loopback, that answer with health or metrics.
    var publicStatus: [Site]
    var upstreams: [Upstream]

    init(_ directives: [NginxDirective]) {
        main = NginxScope(blocks: [directives])
        sites = []
        publicStatus = []
        upstreams = []
        for http in directives where http.name == "http" {
            let inside = http.block ?? []
            for upstream in inside where upstream.name == "upstream" {
                for line in upstream.block ?? [] where line.name == "server" {
                    upstreams.append(
                        Upstream(
                            name: upstream.arguments.first ?? "", address: line.arguments.first ?? "",
                            parameters: Array(line.arguments.dropFirst())))
                }
            }
            for server in inside where server.name == "server" {
                add(NginxScope(blocks: [directives, inside, server.block ?? []]))
            }
        }
    }

    private mutating func add(_ server: NginxScope) {
        let block = server.blocks.last ?? []
        let listens = block.filter { $0.name == "listen" }.map { Listen($0.arguments) }
        var site = Site(listens: listens, server: server, webSockets: server, pages: nil)
        var hasWebSockets = false
        var hasStatus = false
        for location in block where location.name == "location" {
            let scope = NginxScope(blocks: server.blocks + [location.block ?? []])
            let path = location.arguments.last ?? ""
            if path == "/ws", scope.value("proxy_pass") != nil {
                site.webSockets = scope
                hasWebSockets = true
            } else if path == "/", scope.value("fastcgi_pass") != nil {
                site.pages = scope
            } else if ["healthz", "readyz", "metrics"].contains(where: path.contains) {
                hasStatus =
                    hasStatus || scope.value("proxy_pass") != nil || scope.value("fastcgi_pass") != nil
            }
        }
        if hasWebSockets { sites.append(site) }
        if hasStatus, listens.isEmpty || listens.contains(where: { !$0.isLoopback }) {
            publicStatus.append(site)
        }
    }

    /// The lines of the upstreams that the sites pass to, each address once.
    func servers(of pass: String) -> [Upstream] {
        let scopes = pass == "proxy_pass" ? sites.map(\.webSockets) : sites.compactMap(\.pages)
        var found: [Upstream] = []
        for scope in scopes {
            guard var target = scope.value(pass) else { continue }
            for scheme in ["http://", "https://"] where target.hasPrefix(scheme) {
                target = String(target.dropFirst(scheme.count))
            }
            let lines = upstreams.filter { $0.name == target }
            let reached = lines.isEmpty ? [Upstream(name: "", address: target, parameters: [])] : lines
            for line in reached where !found.contains(where: { $0.address == line.address }) {
                found.append(line)
            }
        }
        return found
    }

    /// The unix sockets among them.
    func sockets(of pass: String) -> [String] {
        servers(of: pass).compactMap { server in
            guard server.address.hasPrefix("unix:") else { return nil }
            // `http://unix:/path:/uri` has a URI behind the socket's path.
            return server.address.dropFirst("unix:".count).split(separator: ":").first.map(String.init)
        }
    }
}

extension NginxSites.Listen {
    fileprivate init(_ arguments: [String]) {
        let address = arguments.first ?? "80"
        isTLS = arguments.contains("ssl")
        isQUIC = arguments.contains("quic")
        if address.hasPrefix("unix:") {
            port = nil
            isLoopback = true
            return
        }
        let afterHost = address.lastIndex(of: "]").map { address[$0...] } ?? address[...]
        let host: Substring
        if let colon = afterHost.lastIndex(of: ":") {
            port = Int(address[address.index(after: colon)...])
            host = address[..<colon]
        } else if let number = Int(address) {
            port = number
            host = ""
        } else {
            port = 80
            host = address[...]
        }
        isLoopback = host.hasPrefix("127.") || host == "[::1]" || host == "localhost"
    }
}

/// nginx's ways of writing times and sizes.
enum NginxQuantity {
    private static let timeUnits: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000),
        ("M", 2_592_000_000), ("y", 31_536_000_000),
    ]

    /// Reads `120s`, `2m`, `1h 30m` or a number of seconds; `nil` for anything else.
    static func time(_ text: String) -> Duration? {
        if let seconds = Int64(text) { return .seconds(seconds) }
        var total: Int64 = 0
        var rest = text[...].drop { $0 == " " }
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            guard let number = Int64(digits),
                let unit = timeUnits.first(where: { rest.hasPrefix($0.suffix) }), number < 1 << 31
            else { return nil }
            total += number * unit.milliseconds
            rest = rest.dropFirst(unit.suffix.count).drop { $0 == " " }
        }
        return .milliseconds(total)
    }

    /// Reads `64k`, `1m`, `1g` or a number of bytes; `nil` for anything else.
    static func size(_ text: String) -> Int? {
        let shifts: [Character: Int] = ["k": 10, "K": 10, "m": 20, "M": 20, "g": 30, "G": 30]
        if let last = text.last, let shift = shifts[last] {
            return Int(text.dropLast()).flatMap { $0 < 1 << 30 ? $0 << shift : nil }
        }
        return Int(text)
    }
}
