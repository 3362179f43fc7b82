// Constants of the tests.
// swift-format-ignore-file: NeverForceUnwrap

import PairingCore

@testable import AdminPages
@testable import PairingKernel

let sampleAccounts = [
    AdminAccount(
        username: "admin", role: .administrator, disabledAt: nil, codesSince: sampleNow + .seconds(-86_400),
        createdAt: sampleNow + .seconds(-90 * 86_400), lastSignInAt: sampleNow + .seconds(-300)),
    AdminAccount(
        username: "maria.keller@example.org", role: .operator, disabledAt: nil, codesSince: nil,
        createdAt: sampleNow + .seconds(-40 * 86_400), lastSignInAt: sampleNow + .seconds(-7200)),
    AdminAccount(
        username: "noc-screen", role: .viewer, disabledAt: sampleNow + .seconds(-600), codesSince: nil,
        createdAt: sampleNow + .seconds(-3 * 86_400), lastSignInAt: nil),
]

let sampleEvents = [
    Audit.Event(
        position: 4711, at: sampleNow + .seconds(-30), event: "pairing.approved", channel: "web",
        senderID: "tablet-reception-01", actor: "admin", address: "192.0.2.17",
        details: #"{"agents":["support","sales"],"expiresAt":1796581866731}"#),
    Audit.Event(
        position: 4710, at: sampleNow + .seconds(-90), event: "device.contended", channel: "mobile",
        senderID: "phone-anna", actor: "system", address: nil,
        details: #"{"otherAddress":"2001:db8::17","replaced":6}"#),
    Audit.Event(
        position: 4709, at: sampleNow + .seconds(-86_400), event: "admin.sign_in_failed", channel: nil,
        senderID: nil, actor: "unknown", address: "203.0.113.9", details: #"{"unknownAccount":true}"#),
    // A newer program's, with what a device said.
    Audit.Event(
        position: 4708, at: sampleNow + .seconds(-200_000), event: "future.event", channel: "iot",
        senderID: "sensor.hall-3:temp@plant-north", actor: hostileText, address: nil,
        details: JSONValue.object(["name": .string(hostileText)]).text),
]

func sampleInvitation(
    _ senderID: String, _ state: Invitation.State, channel: String = "web", by admin: String = "admin"
) -> Invitation {
    Invitation(
        id: "0b7c2d4e-0000-4000-8000-00000000\(state == .open ? "0001" : "0002")",
        senderID: SenderID(senderID)!,
        channel: ChannelID(channel)!, createdAt: sampleNow + .seconds(-3600), createdBy: admin,
        expiresAt: sampleNow + .seconds(6 * 86_400), state: state)
}

let sampleInvitations = [
    sampleInvitation("tablet-reception-03", .open),
    sampleInvitation("sensor.hall-3:temp@plant-north", .used, channel: "iot", by: "maria.keller@example.org"),
    sampleInvitation("kiosk-8", .withdrawn), sampleInvitation("kiosk-9", .expired),
]

let sampleMadeInvitation = MadeInvitation(
    senderID: SenderID("tablet-reception-04")!, channel: ChannelID("web")!,
    secret: InvitationSecret(bytes: Array(0..<32))!,
    link: "https://nodes.example.org/device#channel=web&senderId=tablet-reception-04&invitation="
        + InvitationSecret(bytes: Array(0..<32))!.text)
