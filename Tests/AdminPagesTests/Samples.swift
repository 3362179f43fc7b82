// Constants of the tests.
// swift-format-ignore-file: NeverForceUnwrap

import PairingCore

@testable import AdminPages
@testable import PairingKernel

/// 2026-11-22T16:30:00Z: when the sample pages are shown.
let sampleNow = Timestamp(milliseconds: 1_795_365_000_000)

let sampleFingerprint = "SHA256:P5oRwofQRb6Qqmwf8ufUswj1e27JFDrSXoDxx2spoE0"

func sampleRequest(
    _ senderID: String, channel: String = "web", code: String = "K7MP2QXD", name: String = "",
    details: [Detail] = [], address: String? = "192.0.2.17", ageSeconds: Int64 = 240,
    state: RequestState = .pending, decidedBy: String? = nil, rivals: [PairingAdministration.Rival] = [],
    hasKey: Bool = true, metadata: String = "{}"
) -> PairingAdministration.RequestRow {
    let created = sampleNow + .seconds(-ageSeconds)
    let request = PairingRequest(
        id: RequestID("6f1c1d1e-0000-4000-8000-00000000abcd")!, senderID: SenderID(senderID)!,
        channel: ChannelID(channel)!, code: PairingCode(code)!, credential: .tokenHash([]),
        profile: DeviceProfile(displayName: name, metadata: metadata, details: details),
        address: address.flatMap(ClientAddress.init),
        state: state, createdAt: created, expiresAt: created + .seconds(3600),
        decidedAt: state == .pending ? nil : sampleNow, decidedBy: decidedBy)
    return PairingAdministration.RequestRow(
        request: request, fingerprint: hasKey ? sampleFingerprint : nil, rivals: rivals)
}

func sampleDevice(
    _ senderID: String, channel: String = "web", name: String = "", by admin: String = "admin",
    days: Int64 = 3,
    isConnected: Bool = false, lastSeenSeconds: Int64? = 7300, revokedBy: String? = nil,
    generation: Int64 = 1,
    rivals: [PairingAdministration.Rival] = [], metadata: String = "{}", commandsOff: [String] = []
) -> PairingAdministration.DeviceRow {
    var device = PairedDevice(
        requestID: RequestID("6f1c1d1e-0000-4000-8000-00000000abcd")!, senderID: SenderID(senderID)!,
        channel: ChannelID(channel)!, credential: .tokenHash([]),
        profile: DeviceProfile(
            displayName: name, metadata: metadata,
            details: [Detail(label: "Browser", value: "Chromium 156 on Android")]),
        generation: Generation(generation), state: revokedBy == nil ? .active : .revoked,
        pairedAt: sampleNow + .seconds(-days * 86_400), pairedBy: admin,
        revokedAt: revokedBy == nil ? nil : sampleNow + .seconds(-600), revokedBy: revokedBy)
    device.commandsOff = commandsOff
    return PairingAdministration.DeviceRow(
        device: device, fingerprint: sampleFingerprint, rivals: rivals, isConnected: isConnected,
        lastSeenAt: lastSeenSeconds.map { sampleNow + .seconds(-$0) },
        lastAddress: ClientAddress("192.0.2.17"))
}

/// What a lamp declares: two commands, and one that breaks a rule.
let sampleCommands = #"""
    {"commands":[{"name":"light.set","description":"Switches the light.","parameters":{"type":"object"}},
    {"name":"blink"},{"name":"<b>","timeoutS":1}]}
    """#

let sampleRivals = [
    PairingAdministration.Rival(
        address: ClientAddress("203.0.113.9"), channel: ChannelID("web")!, attempts: 3,
        lastAt: sampleNow + .seconds(-95)),
    PairingAdministration.Rival(
        address: nil, channel: ChannelID("iot")!, attempts: 1, lastAt: sampleNow + .seconds(-7500)),
]

let hostileText = #""><script>alert(1)</script>' onmouseover='x"# + "\"\u{301}"

let sampleSettings = PairingSettings(origins: OriginPolicy([Origin("http://127.0.0.1:8080")!]))

func sampleFrame(_ title: String, notice: Notice? = nil, at route: Route? = .nodes) -> PageFrame {
    PageFrame(
        title: title, assetVersion: "1", serverTime: PageTime(sampleNow), username: "admin",
        role: .administrator, csrfToken: "csrf-token",
        sidebar: SidebarGroup.all(hasChannels: true, at: route), notice: notice)
}

func html(_ templates: PageTemplates, _ page: PageTemplates.Page, _ model: some PageModel) -> String {
    String(decoding: templates.render(page, model), as: UTF8.self)
}
