import NIOCore

/// Something that looks at the clock now and then.
protocol Swept: AnyObject {
    /// Where the sweep keeps it; the sweep's own.
    var sweepIndex: Int { get set }

    /// It is time to look at the clock. Called on the event loop.
    func swept(now: NIODeadline)

    /// Closes the connection at once. Called on the event loop.
    func drop()
}

/// One timer for all sockets of an event loop, where several a socket would cost more than the socket.
///
/// Used on its event loop only.
final class Sweep {
    private let eventLoop: any EventLoop
    private var entries: [any Swept] = []
    private var task: RepeatedTask?

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    func start(every period: TimeAmount) {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        task = eventLoop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
            bound.value.run()
        }
    }

    func stop() { task?.cancel() }

    var count: Int { entries.count }

    func add(_ entry: any Swept) {
        entry.sweepIndex = entries.count
        entries.append(entry)
    }

    func remove(_ entry: any Swept) {
        let index = entry.sweepIndex
        guard entries.indices.contains(index), entries[index] === entry else { return }
        let last = entries.removeLast()
        if index < entries.count {
            entries[index] = last
            last.sweepIndex = index
        }
    }

    /// Calls every entry; an entry may remove itself and others meanwhile.
    func forEach(_ body: (any Swept) -> Void) {
        var index = entries.count
        while index > 0 {
            index -= 1
            if index < entries.count { body(entries[index]) }
        }
    }

    func run() {
        let now = eventLoop.now
        forEach { $0.swept(now: now) }
    }
}
