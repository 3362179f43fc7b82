import Agents
import PairingCore
import Testing

@testable import PairingKernel

@Suite("Which deliveries of a web hook are made, and when")
struct WebhookRoundTests {
    private func items(_ lanes: String...) -> [WebhookRound.Item] {
        lanes.enumerated().map { WebhookRound.Item(number: Int64($0 + 11), lane: $1) }
    }

    private func begun(_ round: inout WebhookRound) -> [Int64] { round.begin().map(\.number) }

    @Test(
        "What is about one device is delivered in order, one after the other; devices do not wait for each other"
    )
    func order() {
        var round = WebhookRound(after: 10, through: 15, items("a", "a", "b", "", ""))
        #expect(begun(&round) == [11, 13, 14])
        #expect(begun(&round).isEmpty)
        round.delivered(13)
        #expect(round.cursor == 10 && round.done == [13] && begun(&round).isEmpty)
        round.delivered(11)
        #expect(round.cursor == 11 && begun(&round) == [12])
        round.delivered(14)
        #expect(begun(&round) == [15])
        round.delivered(12)
        round.delivered(15)
        #expect(round.isOver && round.cursor == 15 && round.done.isEmpty && round.hasDelivered)
    }

    @Test("What nobody wants is passed over, and the cursor goes beyond it")
    func unwanted() {
        var round = WebhookRound(after: 3, through: 99, [])
        #expect(round.begin().isEmpty && round.isOver && round.cursor == 99 && !round.hasDelivered)
    }

    @Test("After a failure nothing is begun, and what was delivered beyond it is not delivered again")
    func failure() {
        var round = WebhookRound(after: 10, through: 15, items("a", "b", "a", "c", "d"))
        #expect(begun(&round) == [11, 12, 14, 15])
        round.delivered(12)
        round.failed(11)
        #expect(!round.isOver && begun(&round).isEmpty)
        round.delivered(14)
        round.delivered(15)
        #expect(round.isOver && round.cursor == 10 && round.done == [12, 14, 15])
        var next = WebhookRound(
            after: round.cursor, through: 15, items("a", "b", "a", "c", "d"), ahead: round.done)
        #expect(begun(&next) == [11])
        next.delivered(11)
        #expect(next.cursor == 12 && begun(&next) == [13])
        next.delivered(13)
        #expect(next.isOver && next.cursor == 15 && next.done.isEmpty)
    }

    @Test("A round that is stopped ends with what is under way, and loses nothing")
    func stopped() {
        var round = WebhookRound(after: 10, through: 13, items("a", "a", "b"))
        #expect(begun(&round) == [11, 13])
        round.stop()
        round.delivered(13)
        #expect(!round.isOver)
        round.delivered(11)
        #expect(round.isOver && round.cursor == 11 && round.done == [13])
    }

    @Test("No more are under way than may be, and none of a lane before those in front of it")
    func bounds() {
        let many = (1...40).map { WebhookRound.Item(number: Int64($0), lane: "\($0 % 20)") }
        var round = WebhookRound(after: 0, through: 40, many)
        var seen: [Int64] = []
        var underway: [Int64] = []
        while !round.isOver {
            underway += round.begin().map(\.number)
            #expect(underway.count <= WebhookRound.width)
            let last = underway.removeLast()
            seen.append(last)
            round.delivered(last)
        }
        #expect(Set(seen).count == 40 && round.cursor == 40)
        for lane in 1...20 {
            let first = seen.firstIndex(of: Int64(lane)), second = seen.firstIndex(of: Int64(lane + 20))
            #expect(first.map { $0 < second ?? 0 } == true)
        }
    }

    @Test(
        "Pauses double up to an hour, with jitter; Retry-After is the least; after its time a hook is given up"
    )
    func patience() {
        let patience = WebhookPatience(disableAfter: .seconds(3600))
        func pause(
            _ attempts: Int, _ failing: Duration? = .zero, _ after: Duration? = nil, jitter: Double = 1
        )
            -> Duration?
        {
            patience.pause(afterAttempts: attempts, failing: failing, retryAfter: after, jitter: jitter)
        }
        #expect((0..<4).map { pause($0) } == [1, 2, 4, 8].map { .seconds($0) })
        #expect(pause(0, jitter: 0) == .milliseconds(500))
        #expect(pause(1000) == .seconds(3600))
        #expect(pause(0, .zero, .seconds(90)) == .seconds(90))
        #expect(pause(3, .seconds(3599)) != nil)
        #expect(pause(3, .seconds(3600)) == nil)
        #expect(pause(0, nil) != nil)
    }
}
