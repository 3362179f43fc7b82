import NIOCore
import NIOWebSocket
import NodesProtocol
import PairingCore

/// Carries out what a ``DeviceMachine`` decides: sockets, what must last, time and reports.
///
/// Everything happens inside the actor and without suspension, so that actions take effect in their order.
package actor DeviceRun {
    /// What a run does beyond staying connected.
    package struct Plan {
        /// Whether a revoked device asks for a new pairing by itself.
        package var repairs: Bool
        /// To end once connected, when this many messages have come and everything said was accepted; `nil`
        /// to stay.
        package var answers: Int?

        package init(repairs: Bool = false, answers: Int? = nil) {
            self.repairs = repairs
            self.answers = answers
        }
    }

    private let address: DeviceAddress
    private let plan: Plan
    private let keep: @Sendable (DeviceCredential, DeviceMachine.Progress) throws -> Void
    private let observe: @Sendable (DeviceReport) throws -> Void
    private let clock = ContinuousClock()
    private let epoch: ContinuousClock.Instant
    private var identity: DeviceIdentity
    private var client: DeviceMachine
    private var socket: (any NIOCore.Channel)?
    /// Counts the sockets; what an older one still has to say is not heard.
    private var socketNumber = 0
    private var dialling: Task<Void, Never>?
    /// The task of the newest socket that is being closed.
    private var closing: Task<Void, Never>?
    private var timer: Task<Void, Never>?
    private var sayings: [String: CheckedContinuation<Void, Never>] = [:]
    private var hasConnected = false
    private var hasWaited = false
    private var answers = 0
    private var outcome: DeviceOutcome?
    private var ending: CheckedContinuation<DeviceOutcome, Never>?

    /// - Parameters:
    ///   - progress: what was last kept of this identity's life.
    ///   - keep: makes the credential and the progress durable before it returns; where it throws, the run ends.
    ///   - observe: told everything that happens; where it throws, the run ends.
    package init(
        identity: DeviceIdentity, address: DeviceAddress, progress: DeviceMachine.Progress, plan: Plan,
        keep: @escaping @Sendable (DeviceCredential, DeviceMachine.Progress) throws -> Void,
        observe: @escaping @Sendable (DeviceReport) throws -> Void
    ) {
        self.address = address
        self.plan = plan
        self.keep = keep
        self.observe = observe
        self.identity = identity
        epoch = clock.now
        client = DeviceMachine(identity: identity, progress: progress, random: Self.random)
    }

    private static let random: @Sendable () -> Double = { .random(in: 0..<1) }

    /// Runs until it is over.
    package func run() async -> DeviceOutcome {
        handle(.start)
        let outcome: DeviceOutcome = await withCheckedContinuation { continuation in
            if let reached = self.outcome {
                continuation.resume(returning: reached)
            } else {
                ending = continuation
            }
        }
        // The last close frame is on its way.
        await closing?.value
        return outcome
    }

    /// Ends the run.
    package func quit() { handle(.quit) }

    /// Hands a message to the device; returns when the server has accepted or refused it, or at the end.
    package func say(_ saying: DeviceMachine.Saying) async {
        guard outcome == nil else { return }
        await withCheckedContinuation { continuation in
            sayings[saying.id] = continuation
            handle(.say(saying))
        }
    }

    private func handle(_ event: DeviceMachine.Event) {
        do {
            for action in client.handle(event, now: clock.now - epoch) { try carryOut(action) }
            if let wanted = plan.answers, hasConnected, answers >= wanted, sayings.isEmpty, outcome == nil {
                try end(.quit)
            }
        } catch {
            // Whoever watches can't be told any more.
            try? end(.failed("\(error)"))
        }
        setTimer()
    }

    private func carryOut(_ action: DeviceMachine.Action) throws {
        switch action {
        case .dial: dial()
        case .send(let frame): write(.text, ByteBuffer(string: frame.text))
        case .drop(let code): drop(code)
        case .save(let progress):
            try keep(identity.credential, progress)
        case .report(let report):
            try observe(report)
            note(report)
        case .stop(.revoked) where plan.repairs: try repair()
        // An earlier start's request. Whoever is denied now must not ask again by itself.
        case .stop(.denied) where plan.repairs && !hasWaited: try repair()
        case .stop(let outcome): try end(outcome)
        }
    }

    private func note(_ report: DeviceReport) {
        switch report {
        case .accepted(let id, _), .notAccepted(let id, _): sayings.removeValue(forKey: id)?.resume()
        case .waiting: hasWaited = true
        case .connected: hasConnected = true
        case .message: answers += 1
        case .event(_, let payload) where payload["messageSeq"] != nil: answers += 1
        default: break
        }
    }

    /// Begins anew after a revocation or a denial. A key may be used again; a token may not.
    private func repair() throws {
        try observe(.repairing)
        if case .token = identity.credential {
            identity.credential = try .makeToken()
        }
        try keep(identity.credential, DeviceMachine.Progress())
        client = DeviceMachine(
            identity: identity, progress: DeviceMachine.Progress(), unsent: client.outbox, random: Self.random
        )
        handle(.start)
    }

    private func end(_ outcome: DeviceOutcome) throws {
        guard self.outcome == nil else { return }
        self.outcome = outcome
        drop(.normal)
        for saying in sayings.values { saying.resume() }
        sayings = [:]
        ending?.resume(returning: outcome)
        ending = nil
        try observe(.stopped(outcome))
    }

    private func setTimer() {
        timer?.cancel()
        timer = nil
        guard outcome == nil, let deadline = client.deadline else { return }
        timer = Task { [clock, time = epoch + deadline] in
            guard (try? await clock.sleep(until: time)) != nil else { return }
            handle(.tick)
        }
    }
}

// The socket.
extension DeviceRun {
    private func dial() {
        socketNumber += 1
        dialling = Task { [number = socketNumber] in
            do {
                let opened = try await WebSocketDialer(address: address).dial()
                try await opened.executeThenClose { frames, _ in
                    guard !Task.isCancelled else { return }
                    self.opened(opened.channel, number)
                    for try await frame in frames {
                        guard self.received(frame, number) else { return }
                    }
                    self.lost(code: nil, reason: "", number)
                }
            } catch {
                self.failed(error, number)
            }
        }
    }

    private func opened(_ channel: any NIOCore.Channel, _ number: Int) {
        guard number == socketNumber else { return }
        socket = channel
        handle(.opened)
    }

    /// - Returns: whether to go on reading.
    private func received(_ frame: WebSocketFrame, _ number: Int) -> Bool {
        guard number == socketNumber, socket != nil else { return false }
        var data = frame.unmaskedData
        switch frame.opcode {
        case .text: handle(.text(Array(data.readableBytesView)))
        case .ping:
            write(.pong, data)
            handle(.heard)
        case .connectionClose:
            let code = data.readInteger(as: UInt16.self)
            let reason = String(decoding: data.readableBytesView, as: UTF8.self)
            // The same code back (RFC 6455 §5.5.1); the server then closes the connection.
            write(.connectionClose, code.map { ByteBuffer(integer: $0) } ?? ByteBuffer())
            lost(code: code, reason: reason, number)
            return false
        default: handle(.heard)
        }
        return true
    }

    private func lost(code: UInt16?, reason: String, _ number: Int) {
        guard number == socketNumber else { return }
        forgetSocket()
        handle(.closed(code: code, reason: reason))
    }

    private func failed(_ error: any Error, _ number: Int) {
        guard number == socketNumber else { return }
        guard socket == nil else { return lost(code: nil, reason: "", number) }
        forgetSocket()
        if let refused = error as? WebSocketDialer.Refused {
            handle(.dialFailed(reason: refused.sentence, retryAfter: refused.retryAfter))
        } else {
            handle(.dialFailed(reason: address.sentence(for: error), retryAfter: nil))
        }
    }

    private func forgetSocket() {
        socketNumber += 1
        socket = nil
        closing = dialling
        dialling = nil
    }

    private func drop(_ code: CloseCode) {
        guard let channel = socket else {
            // A dial cannot be called back; what it leads to is closed at once.
            socketNumber += 1
            dialling?.cancel()
            dialling = nil
            return
        }
        forgetSocket()
        let frame = Self.frame(.connectionClose, ByteBuffer(integer: code.rawValue))
        channel.writeAndFlush(frame).whenComplete { _ in channel.close(promise: nil) }
        // A peer that reads nothing must not hold the connection open.
        channel.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        socket?.writeAndFlush(Self.frame(opcode, data), promise: nil)
    }

    private static func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
    }
}
