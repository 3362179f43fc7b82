import Testing

@testable import DeviceGateway

@Suite("The order of one socket")
struct RequestWindowTests {
    typealias Window = RequestWindow<String, String, String>

    private var window = Window(limits: Window.Limits(requests: 4, bytes: 100))

    /// What the window wants done, as text.
    mutating func actions() -> [String] {
        var texts: [String] = []
        while let action = window.next() {
            switch action {
            case .begin(let number, let request): texts.append("begin \(request)#\(number)")
            case .beginGroup(let lane, let group):
                let requests = group.map { "\($0.request)#\($0.number)" }.joined(separator: ",")
                texts.append("\(lane) \(requests)")
            case .answer(let answer): texts.append("answer \(answer)")
            case .carryOut(let order): texts.append("order \(order)")
            }
        }
        return texts
    }

    mutating func ask(_ request: String, _ place: Window.Place, cost: Int = 1) -> [String] {
        window.request(request, place, cost: cost)
        return actions()
    }

    mutating func settle(_ lane: Window.Lane, _ numbers: UInt64...) -> [String] {
        window.settle(lane, numbers.map { ($0, "\($0)") })
        return actions()
    }

    mutating func order(_ order: String, cost: Int = 0) -> [String] {
        window.order(order, cost: cost)
        return actions()
    }

    @Test("Requests of one read go together; what comes meanwhile gathers to the next group")
    mutating func groups() {
        window.isGathering = true
        #expect(ask("a", .beside(.messages)).isEmpty)
        #expect(ask("b", .beside(.messages)).isEmpty)
        window.isGathering = false
        #expect(actions() == ["messages a#0,b#1"])
        #expect(ask("c", .beside(.messages)).isEmpty)
        #expect(ask("d", .beside(.messages)).isEmpty)
        #expect(settle(.messages, 0, 1) == ["answer 0", "answer 1", "messages c#2,d#3"])
        #expect(settle(.messages, 2, 3) == ["answer 2", "answer 3"])
    }

    @Test("Lanes do not wait for each other, and are answered in the order of their requests")
    mutating func lanes() {
        #expect(ask("a", .beside(.messages)) == ["messages a#0"])
        #expect(ask("k", .beside(.acknowledgements)) == ["acknowledgements k#1"])
        #expect(ask("l", .beside(.acknowledgements)).isEmpty)
        #expect(settle(.acknowledgements, 1) == ["acknowledgements l#2"])
        #expect(settle(.acknowledgements, 2).isEmpty)
        #expect(settle(.messages, 0) == ["answer 0", "answer 1", "answer 2"])
    }

    @Test("A request that stands alone waits for all before it, and all after it wait for it")
    mutating func alone() {
        #expect(ask("a", .beside(.messages)) == ["messages a#0"])
        #expect(ask("connect", .alone).isEmpty)
        #expect(!window.isOpen, "nothing is read on: it may change what the socket is")
        #expect(ask("b", .beside(.messages)).isEmpty)
        #expect(ask("pair", .alone).isEmpty)
        #expect(ask("k", .beside(.acknowledgements)).isEmpty)
        #expect(settle(.messages, 0) == ["answer 0", "begin connect#1"])
        window.settle(1, "1")
        #expect(actions() == ["answer 1", "messages b#2"])
        #expect(settle(.messages, 2) == ["answer 2", "begin pair#3"])
        window.settle(3, "3")
        #expect(actions() == ["answer 3", "acknowledgements k#4"])
        #expect(settle(.acknowledgements, 4) == ["answer 4"])
        #expect(window.isOpen)
    }

    @Test(
        "What is ordered leaves behind the answers to all that came before it, and before those to what came after"
    )
    mutating func orders() {
        #expect(order("early") == ["order early"])
        #expect(ask("a", .beside(.messages)) == ["messages a#1"])
        #expect(order("reply").isEmpty)
        #expect(ask("b", .beside(.messages)).isEmpty)
        #expect(order("second").isEmpty)
        #expect(window.held == (2, 0))
        #expect(settle(.messages, 1) == ["answer 1", "order reply", "messages b#3"])
        #expect(settle(.messages, 3) == ["answer 3", "order second"])
        #expect(window.held == (0, 0))
    }

    @Test("An answer that is known at once leaves in its turn")
    mutating func known() {
        #expect(ask("a", .beside(.messages)) == ["messages a#0"])
        window.request(answeredBy: "no request", cost: 1)
        #expect(actions().isEmpty)
        #expect(settle(.messages, 0) == ["answer 0", "answer no request"])
        #expect(window.requests == 0)
    }

    @Test(
        "A socket is read on while requests and bytes are within their bounds, work under way included (I10)")
    mutating func bounds() {
        for number in 0..<3 {
            _ = ask("\(number)", .beside(.messages))
            #expect(window.isOpen)
        }
        _ = ask("3", .beside(.messages))
        #expect(!window.isOpen, "four requests")
        _ = settle(.messages, 0)
        #expect(window.isOpen)
        _ = ask("4", .beside(.messages), cost: 97)
        #expect(!window.isOpen, "a hundred bytes")
        _ = settle(.messages, 1, 2, 3)
        #expect(window.isOpen)
        _ = order("held", cost: 3)
        #expect(!window.isOpen, "what is held takes room, too")
        #expect(settle(.messages, 4) == ["answer 4", "order held"])
        #expect(window.isOpen)
    }
}
