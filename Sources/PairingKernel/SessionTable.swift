import PairingCore

/// Which socket of this process is what, and what becomes of it when something happens to its device.
///
/// A pure machine: it holds what sockets are, and answers each event with what to do. `Socket` is whatever
/// reaches the socket.
struct SessionTable<Socket> {
    /// What a socket is to the kernel.
    enum Role {
        /// It is open, and that is all.
        case stranger
        /// It says who it is, and the database is being asked. A revocation or a decision that arrives
        /// meanwhile is remembered, so that nothing slips through between reading and acting (I3). So is the
        /// request that the socket waited for: it waits on where nothing comes of this.
        case authorising(SenderID, waitedFor: RequestID?, revokedBelow: Generation, replacedBelow: Epoch)
        /// Its request waits for a decision.
        case waiting(RequestID, SenderID)
        /// It is its device's session.
        case live(SessionGrant)
        /// It acts for an administrator.
        case administrator(Authority)
    }

    private struct Entry {
        var socket: Socket
        var role: Role
    }

    private var entries: [SocketID: Entry] = [:]
    private var socketsBySender: [String: [SocketID]] = [:]

    /// Sessions that ended here; the database is to learn of them.
    private var ended: [SessionGrant] = []
    /// Sockets that ceased to be sessions; their channels are to learn of it.
    private var departed: [SocketID] = []

    /// How many devices have their session here.
    private(set) var liveCount = 0

    /// A socket is open.
    mutating func attach(_ id: SocketID, _ socket: Socket) {
        entries[id] = Entry(socket: socket, role: .stranger)
    }

    /// A socket is gone.
    mutating func detach(_ id: SocketID) {
        leave(id)
        entries[id] = nil
    }

    /// A socket says who it is. It leaves whatever it was before.
    ///
    /// - Returns: whether the socket is still there.
    @discardableResult
    mutating func authorise(_ id: SocketID, as senderID: SenderID) -> Bool {
        var waitedFor: RequestID?
        if case .waiting(let request, senderID)? = entries[id]?.role { waitedFor = request }
        leave(id)
        return enter(
            id,
            .authorising(
                senderID, waitedFor: waitedFor, revokedBelow: Generation(0), replacedBelow: Epoch(0)))
    }

    /// Whether the database is being asked about the socket.
    func isAuthorising(_ id: SocketID) -> Bool {
        if case .authorising? = entries[id]?.role { true } else { false }
    }

    /// The session that the socket is.
    func session(of id: SocketID) -> SessionGrant? {
        if case .live(let grant)? = entries[id]?.role { grant } else { nil }
    }

    /// What ``activate(_:_:)`` leads to.
    enum Activation {
        /// The socket is the session; these older ones are to be closed as replaced.
        case granted(replacing: [Socket])
        /// Its authority ended while it was being established.
        case ended(SocketClosure)
        /// The socket is gone, or was not authorising.
        case gone
    }

    /// The database made the socket its device's session.
    mutating func activate(_ id: SocketID, _ grant: SessionGrant) -> Activation {
        let activation = tryToActivate(id, grant)
        switch activation {
        case .granted: break
        case .ended, .gone: ended.append(grant)
        }
        return activation
    }

    private mutating func tryToActivate(_ id: SocketID, _ grant: SessionGrant) -> Activation {
        // Any other role has not been told of a revocation meanwhile.
        guard case .authorising(_, _, let revokedBelow, let replacedBelow)? = entries[id]?.role else {
            return .gone
        }
        if grant.generation < revokedBelow {
            leave(id)
            return .ended(.revoked)
        }
        if grant.epoch < replacedBelow {
            leave(id)
            return .ended(.replaced)
        }
        var replaced: [Socket] = []
        for other in socketsBySender[grant.senderID.key] ?? [] where other != id {
            guard let existing = entries[other], case .live(let older) = existing.role else { continue }
            guard older.epoch < grant.epoch else {
                leave(id)
                return .ended(.replaced)
            }
            replaced.append(existing.socket)
            leave(other)
        }
        leave(id)
        enter(id, .live(grant))
        return .granted(replacing: replaced)
    }

    /// The socket's request is pending.
    ///
    /// - Returns: whether the socket is still there.
    mutating func wait(_ id: SocketID, for request: RequestID, of senderID: SenderID) -> Bool {
        leave(id)
        return enter(id, .waiting(request, senderID))
    }

    /// The socket acts for an administrator.
    mutating func watch(_ id: SocketID, _ authority: Authority) {
        leave(id)
        enter(id, .administrator(authority))
    }

    /// The socket is a stranger again.
    mutating func leave(_ id: SocketID) {
        guard let role = entries[id]?.role else { return }
        entries[id]?.role = .stranger
        if let key = role.senderID?.key {
            socketsBySender[key]?.removeAll { $0 == id }
            if socketsBySender[key]?.isEmpty == true { socketsBySender[key] = nil }
        }
        if case .live(let grant) = role {
            liveCount -= 1
            ended.append(grant)
            departed.append(id)
        }
    }

    /// The sessions that ended here since this was last asked.
    mutating func takeEnded() -> [SessionGrant] {
        defer { ended = [] }
        return ended
    }

    /// The sockets that ceased to be sessions since this was last asked.
    mutating func takeDeparted() -> [SocketID] {
        defer { departed = [] }
        return departed
    }

    /// The database could not be told that these ended.
    mutating func giveBack(ended grants: [SessionGrant]) { ended += grants }

    /// A socket that was being established is a stranger again.
    mutating func abandon(_ id: SocketID) {
        if case .authorising = entries[id]?.role { leave(id) }
    }

    /// A socket that was being established failed: it is what it was before, one that waits or a stranger.
    ///
    /// - Returns: the request it waits for, which may have been decided meanwhile.
    mutating func fail(_ id: SocketID) -> RequestID? {
        guard case .authorising(let senderID, let waitedFor, _, _)? = entries[id]?.role else { return nil }
        leave(id)
        if let waitedFor { enter(id, .waiting(waitedFor, senderID)) }
        return waitedFor
    }

    /// The device was revoked: no session of an older generation lives on.
    ///
    /// - Returns: the sockets to close as revoked.
    mutating func revoke(_ senderID: SenderID, below generation: Generation) -> [Socket] {
        var closed: [Socket] = []
        for id in socketsBySender[senderID.key] ?? [] {
            guard let entry = entries[id] else { continue }
            switch entry.role {
            case .live(let grant) where grant.generation < generation:
                closed.append(entry.socket)
                leave(id)
            case .authorising(let sender, let waitedFor, let revokedBelow, let replacedBelow):
                entries[id]?.role = .authorising(
                    sender, waitedFor: waitedFor, revokedBelow: max(revokedBelow, generation),
                    replacedBelow: replacedBelow)
            case .live, .waiting, .administrator, .stranger: continue
            }
        }
        return closed
    }

    /// A newer session of the device exists on another instance.
    ///
    /// - Returns: the sockets to close as replaced.
    mutating func replace(_ senderKey: String, below epoch: Epoch) -> [Socket] {
        var closed: [Socket] = []
        for id in socketsBySender[senderKey] ?? [] {
            guard let entry = entries[id] else { continue }
            switch entry.role {
            case .live(let grant) where grant.epoch < epoch:
                closed.append(entry.socket)
                leave(id)
            case .authorising(let sender, let waitedFor, let revokedBelow, let replacedBelow):
                entries[id]?.role = .authorising(
                    sender, waitedFor: waitedFor, revokedBelow: revokedBelow,
                    replacedBelow: max(replacedBelow, epoch))
            case .live, .waiting, .administrator, .stranger: continue
            }
        }
        return closed
    }

    /// The session, if it is still this socket's.
    func isLive(_ id: SocketID, _ grant: SessionGrant) -> Bool {
        guard case .live(let current)? = entries[id]?.role else { return false }
        return current.epoch == grant.epoch && current.generation == grant.generation
    }

    /// The session of a device, by the key of its sender ID.
    func session(ofKey key: String) -> (id: SocketID, socket: Socket, grant: SessionGrant)? {
        for id in socketsBySender[key] ?? [] {
            guard let entry = entries[id], case .live(let grant) = entry.role else { continue }
            return (id, entry.socket, grant)
        }
        return nil
    }

    /// The sockets that wait for a decision, newest first.
    func waiting(for request: RequestID, of senderID: SenderID) -> [(id: SocketID, socket: Socket)] {
        (socketsBySender[senderID.key] ?? []).sorted(by: >).compactMap { id in
            guard let entry = entries[id], case .waiting(request, _) = entry.role else { return nil }
            return (id, entry.socket)
        }
    }

    /// Every request that a socket here waits for.
    var waitingRequests: [(request: RequestID, senderID: SenderID)] {
        entries.values.compactMap {
            guard case .waiting(let request, let senderID) = $0.role else { return nil }
            return (request, senderID)
        }
    }

    /// Every session that a socket here is.
    var live: [(id: SocketID, socket: Socket, grant: SessionGrant)] {
        entries.compactMap { id, entry in
            guard case .live(let grant) = entry.role else { return nil }
            return (id, entry.socket, grant)
        }
    }

    /// Every socket that acts for an administrator.
    var administrators: [(id: SocketID, socket: Socket, authority: Authority)] {
        entries.compactMap { id, entry in
            guard case .administrator(let authority) = entry.role else { return nil }
            return (id, entry.socket, authority)
        }
    }

    /// - Returns: whether the socket is still there.
    @discardableResult
    private mutating func enter(_ id: SocketID, _ role: Role) -> Bool {
        guard entries[id] != nil else { return false }
        entries[id]?.role = role
        if let key = role.senderID?.key { socketsBySender[key, default: []].append(id) }
        if case .live = role { liveCount += 1 }
        return true
    }
}

extension SessionTable.Activation: Sendable where Socket: Sendable {}

extension SessionTable.Role {
    fileprivate var senderID: SenderID? {
        switch self {
        case .authorising(let senderID, _, _, _), .waiting(_, let senderID): senderID
        case .live(let grant): grant.senderID
        case .administrator, .stranger: nil
        }
    }
}
