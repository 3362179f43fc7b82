import Foundation
import PairingCore
import Testing

@testable import AdminPages
@testable import PairingKernel

/// Pages with sample data, compared with files that people have looked at in a browser.
///
/// `UPDATE_GOLDEN=1` writes them anew.
@Suite("Pages look as they were looked at")
struct GoldenPagesTests {
    private static func nodesPage(
        filter: String = "", requests: [PairingAdministration.RequestRow] = [],
        devices: [PairingAdministration.DeviceRow] = [], next: String? = nil, typed: Bool = false
    ) -> NodesPage {
        var settings = sampleSettings
        settings.requiresTypedCode = typed
        return NodesPage(
            query: NodesQuery(text: filter), requests: .init(rows: requests, next: nil),
            devices: .init(rows: devices, next: next),
            counts: (requests.count, next == nil ? devices.count : 1001),
            channels: ["iot", "mobile", "web"].compactMap { ChannelID($0) },
            settings: settings, now: sampleNow)
    }

    private static let requests = [
        sampleRequest(
            "tablet-reception-01", name: "Reception tablet",
            details: [
                Detail(label: "Browser", value: "Chromium 156 on Android 15"),
                Detail(label: "Language", value: "de-CH"),
            ]),
        sampleRequest(
            "sensor.hall-3:temp@plant-north", channel: "iot", code: "WX4HJ9RT", address: "2001:db8::17",
            ageSeconds: 3420, rivals: sampleRivals, hasKey: false),
        sampleRequest(
            "phone-anna", channel: "mobile", code: "ABCD2345", name: hostileText,
            details: [Detail(label: hostileText, value: hostileText)], address: nil, ageSeconds: 20),
    ]

    private static let devices = [
        sampleDevice("tablet-reception-02", name: "Reception tablet, back office", isConnected: true),
        sampleDevice("phone-marco", channel: "mobile", by: "maria.keller@example.org", days: 41),
        sampleDevice(
            "sensor.hall-1:temp@plant-north", channel: "iot", by: "ops (token provisioning)",
            isConnected: true),
        sampleDevice(
            "sensor.hall-2:temp@plant-north", channel: "iot", days: 200, lastSeenSeconds: nil,
            rivals: sampleRivals),
        sampleDevice("kiosk-7", name: hostileText, by: "root (command line)", days: 0, lastSeenSeconds: 60),
    ]

    private static func page(_ name: String, _ templates: PageTemplates) -> String? {
        func render(_ page: PageTemplates.Page, _ content: some PageModel, notice: Notice? = nil)
            -> String
        {
            html(templates, page, PageView(frame: sampleFrame("Sample", notice: notice), content: content))
        }
        func renderSignedOut(_ page: PageTemplates.Page, _ content: some PageModel) -> String {
            html(
                templates, page,
                PageView(
                    frame: PageFrame(title: "Sample", assetVersion: "1", serverTime: PageTime(sampleNow)),
                    content: content))
        }
        func decision(
            _ verdict: Verdict, _ row: PairingAdministration.RequestRow, typed: Bool = false,
            reader: String? = nil, problem: String? = nil
        ) -> String {
            render(
                .decision,
                DecisionPage(
                    verdict: verdict, row: row, requiresTypedCode: typed, reader: reader, problem: problem,
                    now: sampleNow))
        }
        switch name {
        case "nodes":
            return render(
                .nodes, nodesPage(requests: requests, devices: devices, next: "x/y"),
                notice: Notice(.approved, SenderID("kiosk-7")))
        case "nodes-empty": return render(.nodes, nodesPage())
        case "nodes-filtered": return render(.nodes, nodesPage(filter: hostileText))
        case "nodes-typed": return render(.nodes, nodesPage(requests: [requests[0]], typed: true))
        case "approve": return decision(.approve, requests[0])
        case "approve-commands":
            var row = sampleRequest("lamp-3", channel: "iot", metadata: sampleCommands)
            row.commandsOff = ["blink"]
            return decision(.approve, row)
        case "approve-rivals": return decision(.approve, requests[1])
        case "approve-typed":
            return decision(
                .approve, requests[2], typed: true,
                problem: "The code is not this request's. Compare it with the one on the device.")
        case "deny": return decision(.deny, requests[2])
        case "deny-typed": return decision(.deny, requests[2], typed: true)
        case "decided":
            return decision(
                .approve, sampleRequest("tablet-reception-01", state: .denied, decidedBy: "maria"),
                problem: "This request is no longer pending. Reload to see its state.")
        case "decided-by-reader":
            return decision(
                .deny, sampleRequest("tablet-reception-01", state: .denied, decidedBy: "maria"),
                reader: "maria")
        case "revoke": return render(.revocation, RevocationPage(row: devices[4], now: sampleNow))
        case "revoked":
            return render(
                .revocation, RevocationPage(row: sampleDevice("kiosk-7", revokedBy: "maria"), now: sampleNow))
        case "revoked-by-reader":
            return render(
                .revocation,
                RevocationPage(
                    row: sampleDevice("kiosk-7", revokedBy: "maria"), reader: "maria", now: sampleNow))
        case "device":
            return render(
                .device,
                DevicePage(
                    rows: [
                        sampleDevice(
                            "kiosk-7", name: "Kiosk", isConnected: true, generation: 3, rivals: sampleRivals),
                        sampleDevice("kiosk-7", channel: "mobile", days: 90, revokedBy: "maria"),
                    ], now: sampleNow))
        case "device-commands":
            return render(
                .device,
                DevicePage(
                    rows: [
                        sampleDevice("lamp-3", metadata: sampleCommands, commandsOff: ["blink", "old.one"])
                    ], now: sampleNow))
        case "channels":
            return render(
                .channels, ChannelsPage(sampleChannels, processName: "kernel-0", now: sampleNow))
        case "channels-empty":
            return render(
                .channels,
                ChannelsPage(
                    ChannelsOverview(here: ChannelsReport(), gateways: []), processName: "kernel-0",
                    now: sampleNow))
        case "agents": return render(.agents, AgentsPage(sampleAgents, now: sampleNow))
        case "agents-empty": return render(.agents, AgentsPage([], now: sampleNow))
        case "accounts":
            return render(.accounts, AccountsPage(accounts: sampleAccounts, reader: "admin", now: sampleNow))
        case "accounts-problem":
            return render(
                .accounts,
                AccountsPage(
                    accounts: [sampleAccounts[0]], reader: "admin", typed: (hostileText, .viewer),
                    problem: "A name has 1 to 64 small letters, digits and . _ @ -.", now: sampleNow))
        case "person":
            return render(
                .person, PersonPage(account: sampleAccounts[2], reader: "admin", now: sampleNow),
                notice: Notice(.accountDisabled, SenderID("noc-screen")))
        case "person-removal":
            return render(
                .removal, PersonPage(account: sampleAccounts[1], reader: "admin", now: sampleNow))
        case "audit":
            return render(
                .audit,
                AuditPage(
                    query: AuditQuery(), page: Audit.Page(events: sampleEvents, next: 4708), now: sampleNow))
        case "audit-filtered":
            var query = AuditQuery()
            (query.who, query.what, query.device, query.before) = (
                hostileText, "future.event", "kiosk-7", 4708
            )
            return render(.audit, AuditPage(query: query, page: Audit.Page(), now: sampleNow))
        case "invitations":
            return render(
                .invitations,
                InvitationsPage(
                    invitations: sampleInvitations, channels: ["iot", "mobile", "web"], seed: "c2VlZA",
                    now: sampleNow))
        case "invitations-made":
            return render(
                .invitations,
                InvitationsPage(
                    invitations: [sampleInvitations[0]], channels: ["web"], seed: "c2VlZA",
                    made: [sampleMadeInvitation], now: sampleNow))
        case "invitations-problem":
            return render(
                .invitations,
                InvitationsPage(
                    invitations: [], channels: ["web"], seed: "c2VlZA", typed: hostileText,
                    problem: "“\(hostileText)” is no sender ID.", now: sampleNow))
        case "login":
            return renderSignedOut(.login, LoginPage(formToken: "form-token", next: ReturnPath("/nodes?q=x")))
        case "login-problem":
            return renderSignedOut(
                .login,
                LoginPage(
                    formToken: "form-token", typedName: hostileText, problem: "Name or password is wrong."))
        case "logout": return render(.logout, LogoutPage())
        case "browser": return renderSignedOut(.browser, BrowserDevicePage())
        case "unknown-page":
            return render(
                .message,
                MessagePage(
                    status: 404, heading: PageFault.unknownPage("/nowhere").title,
                    advice: PageFault.unknownPage("/nowhere").advice,
                    wayOut: .nodes))
        default: return nil
        }
    }

    @Test(
        "Every page is as in its golden file",
        arguments: [
            "nodes", "nodes-empty", "nodes-filtered", "nodes-typed", "approve", "approve-rivals",
            "approve-commands",
            "approve-typed", "deny", "deny-typed", "decided", "decided-by-reader", "revoke", "revoked",
            "revoked-by-reader", "device", "device-commands", "channels",
            "channels-empty", "agents", "agents-empty", "login", "login-problem",
            "logout",
            "unknown-page", "browser", "accounts", "accounts-problem", "person", "person-removal", "audit",
            "audit-filtered", "invitations", "invitations-made", "invitations-problem",
        ])
    func golden(name: String) throws {
        let html = try #require(Self.page(name, PageTemplates(sources: templateSources())))
        let file = repository.appending(path: "Tests/AdminPagesTests/Golden/\(name).html")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try html.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(try html == String(contentsOf: file, encoding: .utf8))
    }

    @Test("I7: what a device says of itself never becomes markup")
    func hostile() throws {
        let templates = try PageTemplates(sources: templateSources())
        for name in [
            "nodes", "deny", "nodes-filtered", "channels", "agents", "login-problem", "accounts-problem",
            "audit",
            "audit-filtered", "invitations-problem",
        ] {
            let html = try #require(Self.page(name, templates))
            #expect(!html.contains("<script>alert"))
            #expect(!html.contains("' onmouseover"))
            #expect(html.contains("&quot;\u{301}"))
        }
    }

    @Test("Where an approver types the code, no page shows or carries it")
    func typedCode() throws {
        let templates = try PageTemplates(sources: templateSources())
        for name in ["nodes-typed", "approve-typed", "deny-typed"] {
            let html = try #require(Self.page(name, templates))
            #expect(!html.contains("K7MP") && !html.contains("ABCD-2345") && !html.contains("ABCD2345"))
        }
    }
}
