import PairingKernel

/// Names a stream on this instance.
typealias StreamID = UInt64

/// How many streams of events there are, and whose. A pure machine; `Stream` is whatever reaches the stream.
struct StreamRoom<Stream: Sendable> {
    /// What becomes of a new stream.
    enum Admission: Equatable {
        case admitted(StreamID)
        /// The account follows as often as one may.
        case accountFull
        /// The instance has no room.
        case full
        /// The instance stops.
        case stopping
    }

    private struct Entry {
        let authority: Authority
        let account: String
        var stream: Stream?
    }

    private let most: Int
    private let mostPerAccount: Int
    private var entries: [StreamID: Entry] = [:]
    private var byAccount: [String: Int] = [:]
    private var lastID: StreamID = 0
    private var isStopping = false

    init(most: Int, mostPerAccount: Int) {
        self.most = most
        self.mostPerAccount = mostPerAccount
    }

    var count: Int { entries.count }

    /// Those that were attached.
    var streams: [Stream] { entries.values.compactMap(\.stream) }

    /// Everybody who follows.
    var authorities: Set<Authority> { Set(entries.values.map(\.authority)) }

    /// Makes room for one more.
    mutating func admit(_ authority: Authority, account: String) -> Admission {
        if isStopping { return .stopping }
        if entries.count >= most { return .full }
        if byAccount[account, default: 0] >= mostPerAccount { return .accountFull }
        lastID += 1
        entries[lastID] = Entry(authority: authority, account: account)
        byAccount[account, default: 0] += 1
        return .admitted(lastID)
    }

    /// - Returns: whether its place is still there.
    mutating func attach(_ id: StreamID, _ stream: Stream) -> Bool {
        guard entries[id] != nil, !isStopping else { return false }
        entries[id]?.stream = stream
        return true
    }

    mutating func leave(_ id: StreamID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        let left = byAccount[entry.account, default: 0] - 1
        byAccount[entry.account] = left > 0 ? left : nil
    }

    /// Takes out those of these authorities.
    mutating func removeAll(of authorities: Set<Authority>) -> [Stream] {
        let ended = entries.filter { authorities.contains($0.value.authority) }
        for id in ended.keys { leave(id) }
        return ended.values.compactMap(\.stream)
    }

    /// Takes out all, and admits no more.
    mutating func stop() -> [Stream] {
        isStopping = true
        let streams = streams
        entries = [:]
        byAccount = [:]
        return streams
    }
}
