import PairingCore
import PairingKernel

/// A page's address.
enum Route: Equatable {
    case home
    case login
    case logout
    case nodes
    case channels
    case agents
    case requests
    case export
    /// A browser as a device; not an administrator's page.
    case browserDevice
    case approve(RequestID)
    case deny(RequestID)
    case device(SenderID)
    case revoke(SenderID)
    case selection
    /// One's own account.
    case account
    /// Everybody's, for administrators.
    case accounts
    case person(String)
    case removal(String)
    case pairingWindow
    case invitations
    /// The event feed for people.
    case audit
    /// Who else is told of it.
    case webhooks
    case webhook(RequestID)
    case webhookRemoval(RequestID)

    /// The methods the route has, for `Allow` (RFC 9110 §10.2.1).
    var methods: [String] {
        switch self {
        case .home, .nodes, .channels, .agents, .export, .browserDevice, .audit: ["GET", "HEAD"]
        case .pairingWindow: ["POST"]
        case .login, .logout, .requests, .approve, .deny, .device, .revoke, .selection, .account, .accounts,
            .person, .removal, .invitations, .webhooks, .webhook, .webhookRemoval:
            ["GET", "HEAD", "POST"]
        }
    }

    /// Whether the page exists only where there are channels.
    var needsChannels: Bool {
        switch self {
        case .home, .login, .logout, .account, .accounts, .person, .removal, .audit, .webhooks,
            .webhook, .webhookRemoval:
            false
        case .nodes, .channels, .agents, .requests, .export, .browserDevice, .approve, .deny, .device,
            .revoke, .selection, .pairingWindow, .invitations:
            true
        }
    }

    /// Whether it is the page of requests and devices, or one that is reached from it.
    var isBelowNodes: Bool {
        switch self {
        case .home, .login, .logout, .channels, .agents, .browserDevice, .account, .accounts, .person,
            .removal, .audit, .invitations, .webhooks, .webhook, .webhookRemoval:
            false
        case .nodes, .requests, .export, .approve, .deny, .device, .revoke, .selection, .pairingWindow: true
        }
    }

    /// Finds the route of a path as it was sent, still percent-encoded.
    ///
    /// - Returns: `nil` where there is none; a trailing slash makes another path.
    init?(path: String) {
        let segments = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { percentDecoded($0, plusIsSpace: false) }
        guard segments.first == "" else { return nil }
        switch segments.dropFirst() {
        case [""]: self = .home
        case ["login"]: self = .login
        case ["logout"]: self = .logout
        case ["nodes"]: self = .nodes
        case ["channels"]: self = .channels
        case ["agents"]: self = .agents
        case ["device"]: self = .browserDevice
        case ["nodes", "selection"]: self = .selection
        case ["nodes", "requests"]: self = .requests
        case ["nodes", "export"]: self = .export
        case ["nodes", "window"]: self = .pairingWindow
        case ["nodes", "invitations"]: self = .invitations
        case ["account"]: self = .account
        case ["accounts"]: self = .accounts
        case ["audit"]: self = .audit
        case ["hooks"]: self = .webhooks
        case let rest where (2...3).contains(rest.count) && rest.first == "hooks":
            guard let id = segments[2].flatMap(RequestID.init) else { return nil }
            guard rest.count == 3 else {
                self = .webhook(id)
                return
            }
            guard segments[3] == "remove" else { return nil }
            self = .webhookRemoval(id)
        case let rest where (2...3).contains(rest.count) && rest.first == "accounts":
            guard let name = segments[2], Accounts.isUsername(name) else { return nil }
            if rest.count == 2 {
                self = .person(name)
            } else if segments[3] == "remove" {
                self = .removal(name)
            } else {
                return nil
            }
        case let rest where rest.count == 4 && rest.starts(with: ["nodes", "requests"]):
            guard let id = segments[3].flatMap(RequestID.init) else { return nil }
            switch segments[4] {
            case "approve": self = .approve(id)
            case "deny": self = .deny(id)
            default: return nil
            }
        case let rest where (3...4).contains(rest.count) && rest.starts(with: ["nodes", "devices"]):
            guard let senderID = segments[3].flatMap(SenderID.init) else { return nil }
            guard rest.count == 4 else {
                self = .device(senderID)
                return
            }
            guard segments[4] == "revoke" else { return nil }
            self = .revoke(senderID)
        default: return nil
        }
    }

    /// Finds the route of a path with one slash too many at its end, as people and proxies write it.
    init?(slashedPath path: String) {
        guard path.utf8.last == UInt8(ascii: "/") else { return nil }
        self.init(path: String(path.dropLast()))
    }

    /// The path that leads here.
    var path: String {
        switch self {
        case .home: "/"
        case .login: "/login"
        case .logout: "/logout"
        case .nodes: "/nodes"
        case .channels: "/channels"
        case .agents: "/agents"
        case .browserDevice: "/device"
        case .selection: "/nodes/selection"
        case .requests: "/nodes/requests"
        case .export: "/nodes/export"
        case .pairingWindow: "/nodes/window"
        case .invitations: "/nodes/invitations"
        case .account: "/account"
        case .accounts: "/accounts"
        case .audit: "/audit"
        case .webhooks: "/hooks"
        case .webhook(let id): "/hooks/\(id)"
        case .webhookRemoval(let id): "/hooks/\(id)/remove"
        case .person(let name): "/accounts/\(percentEncoded(name))"
        case .removal(let name): "/accounts/\(percentEncoded(name))/remove"
        case .approve(let id): "/nodes/requests/\(id)/approve"
        case .deny(let id): "/nodes/requests/\(id)/deny"
        case .device(let senderID): "/nodes/devices/\(percentEncoded(senderID.text))"
        case .revoke(let senderID): "/nodes/devices/\(percentEncoded(senderID.text))/revoke"
        }
    }
}

/// Where a sign-in leads: a page of this site, whatever the address bar claims.
struct ReturnPath: Equatable {
    /// The path and its query.
    let text: String

    /// Accepts the path of a page, with or without a query; anything else would make the sign-in page
    /// send people to other sites.
    init?(_ text: String?) {
        guard let text, text.utf8.count <= 512, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C })
        else { return nil }
        let path = text.prefix { $0 != "?" }
        guard let route = Route(path: String(path)), route != .login, route != .logout else { return nil }
        self.text = text
    }
}
