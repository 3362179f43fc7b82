/// Calls that wait for a thread: first come, first served, one at a time in each lane.
///
/// A session is a lane. A call keeps its lane from ``add(_:lane:always:)`` to ``leave(lane:)``.
struct CallQueue<Call> {
    private let capacity: Int
    private var ready = FIFO<Call>()
    /// The lanes that have a call ready or running, with the calls that wait behind it.
    private var lanes: [UInt64: FIFO<Call>] = [:]
    /// Calls that no thread has taken yet.
    private(set) var count = 0

    init(capacity: Int) { self.capacity = capacity }

    /// Adds a call.
    ///
    /// - Parameter always: whether it is taken even where the queue is full.
    /// - Returns: `false` where the queue is full.
    mutating func add(_ call: Call, lane: UInt64?, always: Bool = false) -> Bool {
        guard count < capacity || always else { return false }
        count += 1
        if let lane, lanes[lane] != nil {
            lanes[lane]?.append(call)
        } else {
            if let lane { lanes[lane] = FIFO() }
            ready.append(call)
        }
        return true
    }

    /// Takes the next call that may run.
    mutating func next() -> Call? {
        guard let call = ready.popFirst() else { return nil }
        count -= 1
        return call
    }

    /// A call has ended: the next one of its lane may run.
    ///
    /// - Returns: whether one became ready.
    mutating func leave(lane: UInt64) -> Bool {
        if let next = lanes[lane]?.popFirst() {
            ready.append(next)
            return true
        }
        lanes[lane] = nil
        return false
    }
}

/// First in, first out, without moving what stays.
struct FIFO<Element> {
    private var elements: [Element?] = []
    private var first = 0

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard first < elements.count else { return nil }
        let element = elements[first]
        elements[first] = nil
        first += 1
        if first == elements.count {
            elements.removeAll(keepingCapacity: first <= 64)
            first = 0
        } else if first >= 64, first * 2 >= elements.count {
            elements.removeFirst(first)
            first = 0
        }
        return element
    }
}
