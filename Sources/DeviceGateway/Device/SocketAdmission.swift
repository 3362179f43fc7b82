import PairingCore
import PairingKernel

/// How a socket for which there is no room is closed.
enum SocketDismissal: Sendable, Equatable {
    /// It is told why, and given a moment to read that.
    case told
    /// At once: as many as may be are being told already.
    case dropped
}

/// A connection that takes room: a socket, or an HTTP request of a device. Called on any thread; never blocks.
protocol AdmittedConnection: Sendable {
    /// There is no room for it.
    func dismiss(_ dismissal: SocketDismissal, _ reason: String)
    /// A newer connection waits for the decision on its request.
    func replaceWaiting()
}

/// How many sockets there are, whether one more may be, and which has to go for it (I13).
///
/// Sockets that nobody has authenticated share a part of the room, by network block; the rest is left to paired
/// devices, so that a flood of strangers costs strangers. A socket counts from its handshake until its descriptor is
/// gone, also while it is being closed. A pure machine; `Socket` is whatever reaches the socket.
struct SocketAdmission<Socket: Sendable> {
    /// What becomes of a new socket.
    enum Admission: Sendable {
        case admitted
        /// The other one goes first: close it as ``Dismissal`` says.
        case admittedDisplacing(Socket, Dismissal)
        case refused(Refusal, Dismissal)
    }

    /// Why a socket may not be.
    enum Refusal: Sendable, Equatable {
        /// The address has too many sockets that are not authenticated.
        case address
        /// The instance has no room for another of the networks that hold most of it.
        case instance
    }

    typealias Dismissal = SocketDismissal

    /// What becomes of a socket whose device's request is pending.
    enum Waiting: Sendable {
        case waits
        /// It waits, and this one no longer does.
        case waitsReplacing(Socket)
        /// Too many sockets of its network block wait.
        case refused
    }

    private enum Role: Equatable {
        case stranger(waitingFor: RequestID?)
        /// A device's or an administrator's.
        case authenticated
        /// There was no room for it: it is being closed.
        case dismissed
    }

    private struct Entry {
        var socket: Socket
        let address: ClientAddress
        var role: Role
    }

    private let limits: SocketLimits
    private var entries: [SocketID: Entry] = [:]
    private var strangers: FairRoom<SocketID>
    private var waiting: [RequestID: SocketID] = [:]
    private var waitingByBlock: [String: Int] = [:]
    private(set) var authenticatedCount = 0
    private(set) var dismissedCount = 0

    init(limits: SocketLimits) {
        self.limits = limits
        strangers = FairRoom(capacity: limits.strangers)
    }

    var strangerCount: Int { strangers.count }

    /// How many devices that are not paired yet wait for a decision.
    var waitingCount: Int { waiting.count }

    /// A socket is new, and a stranger's.
    mutating func open(_ id: SocketID, _ socket: Socket, of address: ClientAddress) -> Admission {
        entries[id] = Entry(socket: socket, address: address, role: .stranger(waitingFor: nil))
        guard strangers.count(of: address) < limits.strangersPerAddress else {
            return .refused(.address, dismiss(id))
        }
        switch strangers.entrance(of: address) {
        case .enters where entries.count <= limits.sockets:
            strangers.insert(id, of: address)
            return .admitted
        case .displaces(let other):
            guard let displaced = entries[other]?.socket else { break }
            let dismissal = dismiss(other)
            strangers.insert(id, of: address)
            return .admittedDisplacing(displaced, dismissal)
        // Nobody holds more than one: a network that holds none yet has its place in the room of the others.
        case .refused where strangers.blockCount(of: address) == 0 && entries.count <= limits.sockets:
            strangers.insert(id, of: address)
            return .admitted
        case .enters, .refused: break
        }
        return .refused(.instance, dismiss(id))
    }

    /// The socket's credential is proven: it is a device's or an administrator's, and takes none of the strangers'
    /// room from now on.
    ///
    /// - Returns: whether the socket may stay; not where it had to go a moment before.
    @discardableResult
    mutating func authenticate(_ id: SocketID) -> Bool {
        guard case .stranger? = entries[id]?.role else { return entries[id]?.role == .authenticated }
        stopWaiting(id)
        strangers.remove(id)
        entries[id]?.role = .authenticated
        authenticatedCount += 1
        return true
    }

    /// Nothing came of what the socket's credential was proven for: it is a stranger's again.
    mutating func disown(_ id: SocketID) {
        guard let entry = entries[id], entry.role == .authenticated else { return }
        authenticatedCount -= 1
        entries[id]?.role = .stranger(waitingFor: nil)
        strangers.insert(id, of: entry.address)
    }

    /// The socket waits for the decision on a request; one socket for each, and the newest.
    mutating func wait(_ id: SocketID, for request: RequestID) -> Waiting {
        guard case .stranger(let waitingFor)? = entries[id]?.role,
            let block = entries[id]?.address.networkBlock
        else { return .waits }
        if waitingFor == request { return .waits }
        stopWaiting(id)
        let older = waiting[request]
        let leaves = older.flatMap { entries[$0]?.address.networkBlock } == block ? 1 : 0
        guard waitingByBlock[block, default: 0] - leaves < limits.waitingPerBlock else { return .refused }
        if let older { stopWaiting(older) }
        entries[id]?.role = .stranger(waitingFor: request)
        waiting[request] = id
        waitingByBlock[block, default: 0] += 1
        guard let older, let socket = entries[older]?.socket else { return .waits }
        return .waitsReplacing(socket)
    }

    /// The socket waits for no decision any more.
    mutating func stopWaiting(_ id: SocketID) {
        guard case .stranger(let request?)? = entries[id]?.role, let block = entries[id]?.address.networkBlock
        else { return }
        entries[id]?.role = .stranger(waitingFor: nil)
        waiting[request] = nil
        let left = waitingByBlock[block, default: 0] - 1
        waitingByBlock[block] = left > 0 ? left : nil
    }

    /// The socket's descriptor is gone.
    mutating func gone(_ id: SocketID) {
        stopWaiting(id)
        switch entries.removeValue(forKey: id)?.role {
        case .stranger: strangers.remove(id)
        case .authenticated: authenticatedCount -= 1
        case .dismissed: dismissedCount -= 1
        case nil: break
        }
    }

    private mutating func dismiss(_ id: SocketID) -> Dismissal {
        stopWaiting(id)
        strangers.remove(id)
        entries[id]?.role = .dismissed
        dismissedCount += 1
        return dismissedCount <= limits.dismissed && entries.count <= limits.sockets ? .told : .dropped
    }
}

/// How many sockets one gateway has room for.
struct SocketLimits: Equatable {
    /// In all.
    var sockets: Int
    /// That nobody has authenticated.
    var strangers: Int
    /// Of these, of one address (IPv6: of one /64).
    var strangersPerAddress: Int
    /// Of these, that wait for a decision, of one network block.
    var waitingPerBlock: Int

    /// That are told why there is no room for them, and given a moment to read it.
    var dismissed: Int { max(1, strangers / 8) }
}
