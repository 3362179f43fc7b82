import NIOCore

/// The order of one socket: its requests are worked on side by side within bounds, and everything leaves in order.
///
/// A request that may change what the socket is stands alone: it begins when all before it are answered, and what
/// comes after it waits for its answer. The others run in lanes, one group of each lane at a time; what comes
/// meanwhile gathers to the next group. Answers leave in the order of their requests. What the kernel orders leaves
/// behind the answers to all requests that came before it, so that no event passes the answer to the request that
/// caused it.
///
/// A pure machine: events change it, and ``next()`` says what to do until it says nothing.
struct RequestWindow<Request, Answer, Order> {
    /// How much of one socket may be under way.
    struct Limits: Sendable, Equatable {
        /// Requests that are not answered.
        var requests: Int
        /// Their bytes, as they came, and those of what is held behind them. One request more is read than fits, for
        /// its size is known when it has come.
        var bytes: Int
    }

    /// Requests of a lane do not overtake each other.
    enum Lane: Int, Sendable, CaseIterable {
        /// `message.send`
        case messages
        /// `message.ack`
        case acknowledgements

        fileprivate var bit: UInt8 { 1 << rawValue }
    }

    /// Who has to wait for whom.
    enum Place: Sendable, Equatable {
        /// For all before it; all after it for it.
        case alone
        /// Only for those of its lane.
        case beside(Lane)
    }

    /// A request's number on its socket.
    typealias Number = UInt64

    /// What is to be done.
    enum Action {
        /// Work on it; its answer is for ``settle(_:_:)``.
        case begin(Number, Request)
        /// Work on these together, in their order; their answers come together, too.
        case beginGroup(Lane, [(number: Number, request: Request)])
        /// Let the answer leave.
        case answer(Answer)
        /// Do what was ordered.
        case carryOut(Order)
    }

    private enum Item {
        case waiting(Request, Place)
        case underWay
        case settled(Answer)
        case order(Order)
    }

    private struct Entry {
        var item: Item
        let cost: Int
    }

    /// The numbers of those that wait in each lane; takes no memory where none does.
    private struct Waiting {
        private var messages: [Number] = []
        private var acknowledgements: [Number] = []

        subscript(lane: Lane) -> [Number] {
            get {
                switch lane {
                case .messages: messages
                case .acknowledgements: acknowledgements
                }
            }
            _modify {
                switch lane {
                case .messages: yield &messages
                case .acknowledgements: yield &acknowledgements
                }
            }
        }
    }

    private let limits: Limits
    private var entries = CircularBuffer<Entry>(initialCapacity: 1)
    /// The number of the first of them.
    private var firstNumber: Number = 0
    /// Those that wait, lane by lane, in order.
    private var waiting = Waiting()
    private var alone = 0
    private var isAloneUnderWay = false
    private var busyLanes: UInt8 = 0
    private var bytes = 0
    /// Requests that are not answered.
    private(set) var requests = 0
    /// What is held behind them.
    private(set) var held = (orders: 0, bytes: 0)
    /// Whether more requests of the same read may come at once: groups begin after the last of them.
    var isGathering = false

    init(limits: Limits) { self.limits = limits }

    /// Whether a further request may come.
    var isOpen: Bool { alone == 0 && requests < limits.requests && bytes < limits.bytes }

    /// A request came.
    ///
    /// - Parameter cost: its bytes.
    mutating func request(_ request: Request, _ place: Place, cost: Int) {
        append(.waiting(request, place), cost)
        requests += 1
        switch place {
        case .alone: alone += 1
        case .beside(let lane): waiting[lane].append(firstNumber + Number(entries.count) - 1)
        }
    }

    /// A request came whose answer is known already.
    mutating func request(answeredBy answer: Answer, cost: Int) {
        append(.settled(answer), cost)
        requests += 1
    }

    /// Something was ordered that must not pass the answers to what came before.
    ///
    /// - Parameter cost: its bytes.
    mutating func order(_ order: Order, cost: Int = 0) {
        append(.order(order), cost)
        held.orders += 1
        held.bytes += cost
    }

    /// A request that stands alone is answered.
    mutating func settle(_ number: Number, _ answer: Answer) {
        alone -= 1
        isAloneUnderWay = false
        put(answer, at: number)
    }

    /// A group is answered, each with its own.
    mutating func settle(_ lane: Lane, _ answers: [(number: Number, answer: Answer)]) {
        busyLanes &= ~lane.bit
        for (number, answer) in answers { put(answer, at: number) }
    }

    /// What to do next; `nil` until something else happens.
    mutating func next() -> Action? {
        switch entries.first?.item {
        case .settled(let answer):
            requests -= 1
            removeFirst()
            return .answer(answer)
        case .order(let order):
            held.orders -= 1
            held.bytes -= entries.first?.cost ?? 0
            removeFirst()
            return .carryOut(order)
        case .waiting(let request, .alone):
            entries[offset: 0].item = .underWay
            isAloneUnderWay = true
            return .begin(firstNumber, request)
        case .waiting(_, .beside), .underWay, nil: return nextGroup()
        }
    }

    private mutating func nextGroup() -> Action? {
        guard !isGathering, !isAloneUnderWay else { return nil }
        for lane in Lane.allCases where busyLanes & lane.bit == 0 && !waiting[lane].isEmpty {
            let end = firstAlone
            let numbers = waiting[lane].prefix { $0 < end }
            if numbers.isEmpty { continue }
            waiting[lane] = Array(waiting[lane].dropFirst(numbers.count))
            busyLanes |= lane.bit
            return .beginGroup(lane, numbers.compactMap { number in begin(number).map { (number, $0) } })
        }
        return nil
    }

    /// The number of the first that waits to be alone, which none of those behind it may overtake.
    private var firstAlone: Number {
        guard alone > 0 else { return .max }
        let offset = (0..<entries.count).first { offset in
            if case .waiting(_, .alone) = entries[offset: offset].item { true } else { false }
        }
        return offset.map { firstNumber + Number($0) } ?? .max
    }

    private mutating func append(_ item: Item, _ cost: Int) {
        entries.append(Entry(item: item, cost: cost))
        bytes += cost
    }

    private mutating func begin(_ number: Number) -> Request? {
        let offset = Int(number - firstNumber)
        guard case .waiting(let request, _) = entries[offset: offset].item else { return nil }
        entries[offset: offset].item = .underWay
        return request
    }

    private mutating func put(_ answer: Answer, at number: Number) {
        entries[offset: Int(number - firstNumber)].item = .settled(answer)
    }

    private mutating func removeFirst() {
        bytes -= entries.removeFirst().cost
        firstNumber += 1
        // What a burst has grown is given back, for there are thousands of these.
        if entries.isEmpty, entries.capacity > 4 { entries = CircularBuffer(initialCapacity: 1) }
    }
}

extension CircularBuffer {
    /// The element that many places behind the first.
    fileprivate subscript(offset offset: Int) -> Element {
        get { self[index(startIndex, offsetBy: offset)] }
        set { self[index(startIndex, offsetBy: offset)] = newValue }
    }
}
