import PairingCore
import PairingKernel

/// What surrounds every page: title, sidebar, who is signed in, and the notice after a redirect.
struct PageFrame: PageModel {
    /// The title; the browser shows it before the product's name.
    var title: String
    /// Changes with the style sheet and the script, so that browsers may keep them for ever.
    var assetVersion: String
    /// The server's time, by which the page's script counts: the reader's clock may be wrong.
    var serverTime: PageTime
    /// The account that is signed in.
    var username: String?
    /// What that account may do.
    var role: Role?
    /// What the sign-out form sends back.
    var csrfToken = ""
    /// The menu; empty for a visitor who is not signed in.
    var sidebar: [SidebarGroup] = []
    /// What the form before the redirect did.
    var notice: Notice?
    /// Up to where the event feed is in what the page shows, where its script keeps that up to date.
    var feedPosition: Int64?

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "title": title
        case "assetVersion": assetVersion
        case "serverTime": serverTime.machine
        case "isSignedIn": username != nil
        case "username": username
        case "mayDecide": role?.scope.covers(.decide) ?? false
        case "csrfToken": csrfToken
        case "sidebar": sidebar
        case "notice": notice
        case "needsMore": true
        case "feedPosition": feedPosition.map { String($0) }
        default: nil
        }
    }
}

/// A page: what it shows, in its frame.
final class PageView<Content: PageModel>: PageModel {
    private let frame: PageFrame
    private let content: Content

    init(frame: PageFrame, content: Content) {
        self.frame = frame
        self.content = content
    }

    func child(named name: String) -> (any PageValue)? {
        // A notice has rules that a page without one does not load.
        if name == "needsMore", frame.notice != nil { return true }
        return content.child(named: name) ?? frame.child(named: name)
    }
}

/// A group of the sidebar.
struct SidebarGroup: PageModel {
    /// The heading.
    var group: String
    /// The group's pages.
    var entries: [SidebarEntry]

    /// The menu as it is with channels (`hasChannels`) or without, seen from the page of `route`.
    ///
    /// - Parameter pending: how many requests wait, where the page knows it.
    static func all(
        hasChannels: Bool, at route: Route?, pending: Int? = nil, role: Role = .administrator
    ) -> [SidebarGroup] {
        (hasChannels ? [connections(at: route, pending)] : []) + [
            administration(at: route, role, hasChannels)
        ]
    }

    private static func administration(at route: Route?, _ role: Role, _ hasChannels: Bool) -> SidebarGroup {
        let isAtAccounts =
            switch route {
            case .accounts, .person, .removal: true
            default: false
            }
        let isAtWebhooks =
            switch route {
            case .webhooks, .webhook, .webhookRemoval: true
            default: false
            }
        var entries = [
            SidebarEntry(label: "Audit", path: Route.audit.path, icon: "audit", isCurrent: route == .audit)
        ]
        if role == .administrator {
            if hasChannels {
                entries.insert(
                    SidebarEntry(
                        label: "Invitations", path: Route.invitations.path, icon: "inbox",
                        isCurrent: route == .invitations), at: 0)
            }
            entries.append(
                SidebarEntry(
                    label: "Web hooks", path: Route.webhooks.path, icon: "hooks",
                    isCurrent: isAtWebhooks))
            entries.append(
                SidebarEntry(
                    label: "Accounts", path: Route.accounts.path, icon: "people", isCurrent: isAtAccounts))
        }
        return SidebarGroup(group: "Administration", entries: entries)
    }

    private static func connections(at route: Route?, _ pending: Int?) -> SidebarGroup {
        SidebarGroup(
            group: "Connections",
            entries: [
                SidebarEntry(
                    label: "Nodes", path: Route.nodes.path, icon: "nodes",
                    isCurrent: route?.isBelowNodes ?? false, countsPending: true, pending: pending),
                SidebarEntry(
                    label: "Channels", path: Route.channels.path, icon: "channels",
                    isCurrent: route == .channels),
                SidebarEntry(
                    label: "Agents", path: Route.agents.path, icon: "agents", isCurrent: route == .agents),
            ])
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "group": group
        case "entries": entries
        default: nil
        }
    }
}

/// A page's line in the sidebar.
struct SidebarEntry: PageModel {
    /// What it is called.
    var label: String
    /// Where it leads.
    var path: String
    /// The symbol's name in `static/icons.svg`.
    var icon: String
    /// Whether the reader is there.
    var isCurrent: Bool
    /// Whether it shows how many requests wait.
    var countsPending = false
    /// How many those are, where that is known.
    var pending: Int?

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "label": label
        case "path": path
        case "icon": icon
        case "isCurrent": isCurrent
        case "countsPending": countsPending
        case "pendingCount": pending.flatMap { $0 == 0 ? nil : counted($0) }
        default: nil
        }
    }
}
