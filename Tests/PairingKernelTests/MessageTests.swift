import PairingCore
import PairingStore
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Messages of sessions (I4)")
struct MessageTests {
    @Test("Each message is answered once, in order, whatever their number")
    func order() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for index in 1...300 {
                let receipt = try await one.sessions.send(
                    id: "m-\(index)", body: "\(index)", grant: grant, on: socket)
                #expect(receipt.sequence == Int64(index))
            }
            try await eventually("300 answers") { socket.messages.count >= 300 }
            #expect(socket.messages.map(\.sequence) == Array(1...300))
            #expect(socket.messages.map(\.body) == (1...300).map(String.init))
        }
    }

    @Test("A repeated message gets the first receipt and no second answer")
    func repeats() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            let first = try await one.sessions.send(id: "m", body: "1", grant: grant, on: socket)
            let second = try await one.sessions.send(id: "m", body: "2", grant: grant, on: socket)
            #expect(first == second)
            try await eventually("the answer") { socket.messages.count == 1 }
            let later = try two.socket()
            let newer = try await two.connect(device, on: later)
            #expect(try await two.sessions.send(id: "m", body: "3", grant: newer, on: later) == first)
            try await eventually("the redelivered answer") { later.messages.count == 1 }
            #expect(later.messages.map(\.body) == ["1"])
            #expect(socket.messages.count == 1)
        }
    }

    @Test("What was not acknowledged is delivered again on the next connection, on whichever instance")
    func redelivery() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for index in 1...5 {
                _ = try await one.sessions.send(id: "\(index)", body: "\(index)", grant: grant, on: socket)
            }
            try await eventually("five answers") { socket.messages.count == 5 }
            try await one.sessions.acknowledge(upTo: 2, grant: grant, on: socket)
            one.sessions.detach(socket)
            let next = try two.socket()
            let newer = try await two.connect(device, on: next)
            try await eventually("three answers") { next.messages.count == 3 }
            #expect(next.messages.map(\.sequence) == [3, 4, 5])
            _ = try await two.sessions.send(id: "6", body: "6", grant: newer, on: next)
            try await eventually("the next answer") { next.messages.count == 4 }
            #expect(next.messages.map(\.sequence) == [3, 4, 5, 6])
        }
    }

    @Test(
        "Messages that an agent could not answer are answered on the next connection; one that never can be ends, and holds up no other"
    )
    func unanswered() async throws {
        let agent = TestAgent(isFailing: true)
        try await System.run(agents: [agent]) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for body in ["1", "\"poison\"", "3", "4"] {
                _ = try await one.sessions.send(id: "id-\(body)", body: body, grant: grant, on: socket)
            }
            one.sessions.detach(socket)
            #expect(socket.messages.isEmpty)
            agent.recover()
            let next = try two.socket()
            try await two.connect(device, on: next)
            try await eventually("three answers") { next.messages.count == 3 }
            #expect(next.messages.map(\.body) == ["1", "3", "4"])
            #expect(next.messages.map(\.inReplyTo) == ["id-1", "id-3", "id-4"])
            #expect(next.messages.map(\.sequence) == [1, 2, 3])
        }
    }

    @Test("A message that an agent could not answer is answered on the same session, once the agent can (I4)")
    func answeredLater() async throws {
        let agent = TestAgent(isFailing: true)
        try await System.run(agents: [agent]) { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for body in ["1", "2"] {
                _ = try await one.sessions.send(id: body, body: body, grant: grant, on: socket)
            }
            agent.recover()
            try await eventually("both answers") { socket.messages.count >= 2 }
            #expect(socket.messages.map(\.body).sorted() == ["1", "2"])
            #expect(socket.messages.map(\.sequence) == [1, 2])
        }
    }

    @Test("A message is refused that is larger than what a channel can answer, however it was written")
    func tooLarge() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            let body = "\"" + String(repeating: "x", count: DeviceSessions.maximumBodyBytes) + "\""
            do {
                _ = try await one.sessions.send(id: "a", body: body, grant: grant, on: socket)
                Issue.record("it was accepted")
            } catch let refusal as Refusal {
                #expect(refusal.code == .invalidRequest && refusal.reason == "message_too_large")
            }
        }
    }

    @Test("More than fits one page of catching up arrives whole and in order")
    func longCatchUp() async throws {
        let agent = TestAgent(isFailing: true)
        try await System.run(agents: [agent]) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for index in 1...250 {
                _ = try await one.sessions.send(id: "\(index)", body: "\(index)", grant: grant, on: socket)
            }
            one.sessions.detach(socket)
            agent.recover()
            let next = try two.socket()
            try await two.connect(device, on: next)
            try await eventually("250 answers") { next.messages.count >= 250 }
            #expect(next.messages.map(\.sequence) == Array(1...250))
            two.sessions.detach(next)
            let last = try one.socket()
            try await one.connect(device, on: last)
            try await eventually("250 answers again") { last.messages.count >= 250 }
            #expect(last.messages.map(\.body) == (1...250).map(String.init))
        }
    }

    @Test("A message sent while another connection takes over is answered on one of them, every time")
    func takeover() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            var socket = try one.socket()
            var instance = one
            var grant = try await one.connect(device, on: socket)
            var accepted: Set<String> = []
            var answered: Set<String> = []
            for round in 0..<60 {
                let other = round.isMultiple(of: 2) ? two : one
                let next = try other.socket()
                // Sixty in a row are the test's wish.
                other.sessions.contention.withLock { $0 = ContentionPace() }
                let (oldSocket, oldGrant, oldInstance) = (socket, grant, instance)
                async let sent = Result {
                    try await oldInstance.sessions.send(
                        id: "m-\(round)", body: "\(round)", grant: oldGrant, on: oldSocket)
                }
                let newer = try await other.connect(device, on: next)
                if case .success = await sent { accepted.insert("\(round)") }
                answered.formUnion(oldSocket.messages.map(\.body))
                (socket, grant, instance) = (next, newer, other)
            }
            // Nobody acknowledged anything: all of it is on the newest socket sooner or later.
            let last = socket
            try await eventually("all answers") { Set(last.messages.map(\.body)).isSuperset(of: accepted) }
            #expect(Set(last.messages.map(\.sequence)).count == last.messages.count)
        }
    }

    @Test("A device that sends more than is answered is told to wait, and loses nothing")
    func backpressure() async throws {
        let agent = TestAgent(isFailing: true)
        try await System.run(agents: [agent]) { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            var accepted = 0
            var refusal: Refusal?
            while refusal == nil, accepted < 2000 {
                do {
                    _ = try await one.sessions.send(
                        id: "\(accepted)", body: "\(accepted)", grant: grant, on: socket)
                    accepted += 1
                } catch let error as Refusal {
                    refusal = error
                }
            }
            #expect(refusal?.code == .resourceExhausted && refusal?.reason == "unanswered")
            #expect(refusal?.retryable == true)
            #expect(accepted == Int(MessageLimits().unanswered))
            agent.recover()
            try await eventually("all answers") { socket.messages.count == accepted }
            #expect(socket.messages.map(\.body) == (0..<accepted).map(String.init))
            try await one.sessions.acknowledge(upTo: 10, grant: grant, on: socket)
            _ = try await one.sessions.send(id: "later", body: "1", grant: grant, on: socket)
        }
    }
}
