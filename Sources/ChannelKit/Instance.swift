/// Makes instances of a channel type; its subclass knows which.
class AnyFactory {
    var identity: Identity { Identity(id: "", displayName: "", version: "") }
    var declarations: Declarations { Declarations() }

    func make(configuration: String, host: Host) throws(ConfigurationError) -> AnyInstance {
        AnyInstance(host: host)
    }
}

final class Factory<Implementation: Channel>: AnyFactory {
    override var identity: Identity { Implementation.identity }
    override var declarations: Declarations { Implementation.declarations }

    override func make(configuration: String, host: Host) throws(ConfigurationError) -> AnyInstance {
        let decoded: Implementation.Configuration
        do throws(JSONProblem) {
            decoded = try value(of: configuration)
        } catch {
            throw ConfigurationError(error.sentence(about: "configuration"))
        }
        return Instance(try Implementation(configuration: decoded, host: host), host: host)
    }
}

/// A channel instance as the table's functions see it; its subclass knows the channel's type.
class AnyInstance {
    /// Where a slot is: the word of memory the host keeps for a session.
    typealias Slot = UnsafeMutablePointer<UnsafeMutableRawPointer?>

    let host: Host
    var limits: Limits { Limits() }

    init(host: Host) { self.host = host }

    func review(_ claim: Claim, _ sink: borrowing Sink) -> Status { .failed }
    func opened(_ session: Session, _ slot: Slot, _ sink: borrowing Sink) -> Status { .failed }
    func closed(_ slot: Slot, reason: String) {}
    func receive(
        _ message: DeviceMessage, _ slot: UnsafeMutableRawPointer, _ sink: borrowing Sink
    ) -> Status { .failed }
    func deliver(
        _ message: AgentMessage, _ slot: UnsafeMutableRawPointer, _ sink: borrowing Sink
    ) -> Status { .failed }
    func tick(_ clock: Int64) -> [SessionFrame] { [] }
}

final class Instance<Implementation: Channel>: AnyInstance {
    /// What a session's slot points to. Calls for one session come one after the other.
    private final class Held {
        let session: Session
        var state: Implementation.SessionState

        init(session: Session, state: Implementation.SessionState) {
            self.session = session
            self.state = state
        }
    }

    private let implementation: Implementation

    override var limits: Limits { implementation.limits }

    init(_ implementation: Implementation, host: Host) {
        self.implementation = implementation
        super.init(host: host)
    }

    override func review(_ claim: Claim, _ sink: borrowing Sink) -> Status {
        do throws(Refusal) {
            return sink.settle(try implementation.review(claim), host: host) { $1.put($0) }
        } catch {
            return sink.refuse(error)
        }
    }

    override func opened(_ session: Session, _ slot: Slot, _ sink: borrowing Sink) -> Status {
        do throws(Refusal) {
            let state = try implementation.opened(session)
            if let periods = implementation.silencePeriods(of: session, state: state) {
                sink.put(silence: periods)
            }
            slot.pointee = Unmanaged.passRetained(Held(session: session, state: state)).toOpaque()
            return .ok
        } catch {
            return sink.refuse(error)
        }
    }

    override func closed(_ slot: Slot, reason: String) {
        guard let pointer = slot.pointee else { return }
        slot.pointee = nil
        let held = Unmanaged<Held>.fromOpaque(pointer).takeRetainedValue()
        implementation.closed(held.session, state: held.state, reason: reason)
    }

    override func receive(
        _ message: DeviceMessage, _ slot: UnsafeMutableRawPointer, _ sink: borrowing Sink
    ) -> Status {
        let held = Unmanaged<Held>.fromOpaque(slot).takeUnretainedValue()
        do throws(Refusal) {
            let answer = try implementation.receive(message, in: held.session, state: &held.state)
            return sink.settle(answer, host: host) { $1.put($0) }
        } catch {
            return sink.refuse(error)
        }
    }

    override func deliver(
        _ message: AgentMessage, _ slot: UnsafeMutableRawPointer, _ sink: borrowing Sink
    ) -> Status {
        let held = Unmanaged<Held>.fromOpaque(slot).takeUnretainedValue()
        do throws(Refusal) {
            let answer = try implementation.deliver(message, in: held.session, state: &held.state)
            return sink.settle(answer, host: host) { $1.put($0) }
        } catch {
            return sink.refuse(error)
        }
    }

    override func tick(_ clock: Int64) -> [SessionFrame] {
        implementation.tick(atMilliseconds: clock)
        return implementation.frames(atMilliseconds: clock)
    }
}
