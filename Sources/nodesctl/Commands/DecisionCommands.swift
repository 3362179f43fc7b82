import ArgumentParser
import PairingCore
import PairingKernel

/// What approving and denying share: which request, and the code that proves the device was looked at.
struct DecisionOptions: ParsableArguments {
    @Argument(help: "The request's ID, as listed.", transform: readRequestID)
    var request: RequestID

    @Option(help: "The code that the device shows; without it, it is asked for on the terminal.")
    var code: String?

    /// The code from the command line, or typed after looking at the request.
    fileprivate func readCode(at desk: Desk, to decision: String) async throws -> PairingCode {
        if let code { return try parse(code) }
        guard Terminal.isInteractive else {
            throw CommandFailure(.usage, "Give the code that the device shows: --code XXXX-XXXX.")
        }
        let row = try await desk.administration.request(request, by: desk.authority)
        Terminal.complain(row.sheet)
        guard let line = Terminal.ask("Type the code that the device shows to \(decision) it:"), !line.isEmpty
        else { throw CommandFailure(.usage, "No code was given; nothing was done.") }
        return try parse(line)
    }

    private func parse(_ text: String) throws -> PairingCode {
        guard let code = PairingCode(text) else {
            throw CommandFailure(
                .usage,
                "\(quoted(text)) is no pairing code; expected 8 characters of ABCDEFGHJKLMNPQRSTUVWXYZ23456789, such as "
                    + "ABCD-EFGH.")
        }
        return code
    }

    private static func readRequestID(_ text: String) throws -> RequestID {
        guard let id = RequestID(text) else {
            throw ValidationError("expected a request's ID, a UUID such as nodesctl requests list shows")
        }
        return id
    }
}

extension Desk {
    /// Says of a decision that was refused because the same person has carried it out before that it is done.
    ///
    /// - Throws: the refusal, where it was somebody else or something else.
    fileprivate func printRepeat(of id: RequestID, as state: RequestState, _ refusal: Refusal) async throws {
        guard
            let request = try await administration.decidedBefore(id, as: state, by: authority, refusal)
        else { throw refusal }
        try print(.request(request), repeatText(request.senderID, request.channel, request.decidedAt))
    }
}

private func repeatText(_ senderID: SenderID, _ channel: ChannelID, _ doneAt: Timestamp?) -> String {
    let moment = doneAt.map { ", at \($0.text)" } ?? ""
    return "Done already, by you\(moment): \(senderID) on channel \(channel). Nothing was changed this time."
}

/// `nodesctl approve`
struct ApproveCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Approve a request: the device is paired from then on.")

    @OptionGroup var options: OperatorOptions
    @OptionGroup var decision: DecisionOptions

    func run(at desk: Desk) async throws {
        let code = try await decision.readCode(at: desk, to: "approve")
        let device: PairedDevice
        do throws(Refusal) {
            device = try await desk.administration.approve(decision.request, code: code, by: desk.authority)
        } catch {
            return try await desk.printRepeat(of: decision.request, as: .approved, error)
        }
        try desk.print(
            .pairing(device),
            "Approved: \(device.senderID) on channel \(device.channel) is paired, generation \(device.generation)."
        )
    }
}

/// `nodesctl deny`
struct DenyCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny",
        abstract: "Deny a request: the device is told, and has to wait before it may ask again.")

    @OptionGroup var options: OperatorOptions
    @OptionGroup var decision: DecisionOptions

    @Option(help: "Why; the device is told, and whoever looks later.")
    var reason: String?

    func run(at desk: Desk) async throws {
        // Where codes have to be typed to approve, denying needs none: they are shown nowhere but on the device.
        let needsNone = decision.code == nil && desk.kernel.settings.requiresTypedCode
        let code = needsNone ? nil : try await decision.readCode(at: desk, to: "deny")
        let request: PairingRequest
        do throws(Refusal) {
            request = try await desk.administration.deny(
                decision.request, code: code, because: reason, by: desk.authority)
        } catch {
            return try await desk.printRepeat(of: decision.request, as: .denied, error)
        }
        try desk.print(
            .request(request),
            "Denied request \(request.id) of \(request.senderID) on channel \(request.channel).")
    }
}

/// `nodesctl revoke`
struct RevokeCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Revoke a paired device, or all paired since a time.",
        discussion: """
            A revoked device is disconnected everywhere and must pair again. --all-since is for after a restored \
            backup or a lost replica, which bring back pairings that were revoked.
            """)

    @OptionGroup var options: OperatorOptions

    @Argument(help: "The device's sender ID.", transform: readSenderID)
    var sender: SenderID?

    @Option(help: "Only if it is paired on this channel.")
    var channel: String?

    @Option(
        help: "Only if the pairing still has this generation.",
        transform: { try readNumber($0, "a generation, a whole number such as nodesctl devices list shows") })
    var generation: Int64?

    @Option(help: "Why; the device is told, and whoever looks later.")
    var reason: String?

    @Option(
        help: "Revoke every device paired at or after this time: RFC 3339 with its zone, or milliseconds.",
        transform: readTime)
    var allSince: Timestamp?

    @Flag(help: "With --all-since: do it without asking.")
    var yes = false

    func validate() throws {
        guard (sender == nil) != (allSince == nil) else {
            throw ValidationError("Give either a sender ID or --all-since.")
        }
        guard allSince == nil || (channel == nil && generation == nil && reason == nil) else {
            throw ValidationError(
                "--channel, --generation and --reason belong to one device, not to --all-since.")
        }
        guard channel == nil || channel.flatMap(ChannelID.init) != nil else {
            throw ValidationError("--channel \(channel ?? ""): expected a channel's name, such as web.")
        }
    }

    func run(at desk: Desk) async throws {
        if let allSince { return try await revokeAll(since: allSince, at: desk) }
        guard let sender else { return }
        let channel = channel.flatMap(ChannelID.init)
        let generation = generation.map(Generation.init)
        let device: PairedDevice
        do throws(Refusal) {
            device = try await desk.administration.revoke(
                sender, channel: channel, generation: generation, because: reason, by: desk.authority)
        } catch {
            guard
                let device = try await desk.administration.revokedBefore(
                    sender, channel: channel, generation: generation, by: desk.authority, error)
            else { throw error }
            return try desk.print(
                .pairing(device), repeatText(device.senderID, device.channel, device.revokedAt))
        }
        try desk.print(
            .pairing(device), "Revoked \(device.senderID) on channel \(device.channel). It must pair again.")
    }

    private func revokeAll(since time: Timestamp, at desk: Desk) async throws {
        let devices = try await desk.administration.devicesPaired(since: time, by: desk.authority)
        if !devices.isEmpty {
            var table = TextTable("CHANNEL", "SENDER", "GENERATION", "PAIRED", "PAIRED BY")
            for device in devices {
                table.add(
                    device.channel.text, device.senderID.text, device.generation.description,
                    device.pairedAt.text, device.pairedBy)
            }
            if !desk.json || !yes { Terminal.complain(table.text) }
            try confirm(
                yes, typing: String(devices.count),
                "Type the number of these devices, \(devices.count), to revoke them all:")
        }
        let (revoked, failure) = await desk.administration.revoke(devices, by: desk.authority) { refusal in
            Terminal.complain("\(refusal.message) Going on in a moment …")
            try? await Task.sleep(for: .seconds(2))
        }
        try desk.print(
            .array(revoked.map(JSONValue.pairing)),
            "Revoked \(revoked.count) of \(devices.count) devices paired since \(time.text).")
        guard var failure else { return }
        failure.message =
            "It ended before the last one: \(failure.message) Repeat the command: it goes on with those that are left."
        throw CommandFailure(failure)
    }

    private static func readTime(_ text: String) throws -> Timestamp {
        guard let time = Timestamp(operatorText: text) else {
            throw ValidationError("expected a time such as 2026-01-31T14:00:00Z")
        }
        return time
    }
}
