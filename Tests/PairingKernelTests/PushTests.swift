import PairingCore
import PairingStore
import Postgres
import Testing

@testable import PairingKernel

@Suite("Pushes, statuses and aborts over two instances (I4)")
struct PushTests {
    @Test("A push reaches the device on whichever instance it is, in order with what agents say")
    func pushes() async throws {
        try await System.run(agents: [TestAgent()]) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for number in 1...10 {
                let instance = number.isMultiple(of: 2) ? one : two
                let report = try await instance.sessions.push(
                    "\(number)", to: device.senderID, id: "p-\(number)", agent: "news", lifetime: nil,
                    by: System.admin)
                #expect(report.sequence == Int64(number) && report.status == .accepted)
            }
            _ = try await one.sessions.send(id: "m", body: "11", grant: grant, on: socket)
            try await eventually("all of it") { socket.messages.count == 11 }
            #expect(socket.messages.map(\.sequence) == Array(1...11))
            #expect(socket.messages.map(\.body) == (1...11).map(String.init))
            #expect(socket.messages.map(\.agent) == Array(repeating: "news", count: 10) + ["test"])
            let repeated = try await two.kernel.messages.push(
                "0", to: device.senderID, id: "p-3", by: System.admin)
            #expect(repeated.sequence == 3)
            try await one.sessions.acknowledge(upTo: 11, grant: grant, on: socket)
            let status = try await two.kernel.messages.status(
                ofPush: "p-3", to: device.senderID, by: System.admin)
            #expect(status.status == .delivered)
            #expect(socket.messages.count == 11)
        }
    }

    @Test("A push whose notification is lost reaches its device within seconds all the same")
    func unheard() async throws {
        try await System.run(listens: false, settings: { $0.authorityLease = .seconds(4) }) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            try await one.connect(device, on: socket)
            _ = try await two.kernel.messages.push("1", to: device.senderID, id: "p", by: System.admin)
            try await eventually("the push") { socket.messages.count == 1 }
        }
    }

    @Test("Only a token that may send or administer pushes; one that may send does nothing else")
    func scopes() async throws {
        try await System.run { one, _ in
            let device = try await one.pair("tablet-01")
            func authority(_ scope: Scope) -> Authority {
                Authority(actor: .administrator("maria"), scope: scope, source: .commandLine)
            }
            let report = try await one.kernel.messages.push(
                "1", to: device.senderID, id: "p", by: authority(.send))
            #expect(report.sequence == 1)
            let refusal = await #expect(throws: Refusal.self) {
                try await one.kernel.messages.push("1", to: device.senderID, id: "q", by: authority(.read))
            }
            #expect(refusal?.code == .forbidden)
            let other = await #expect(throws: Refusal.self) {
                try await one.kernel.administration.pairedDevices(
                    filter: "", after: nil, limit: 1, by: authority(.send))
            }
            #expect(other?.code == .forbidden)
            let unknown = await #expect(throws: Refusal.self) {
                try await one.kernel.messages.push(
                    "1", to: try #require(SenderID("nobody")), id: "p", by: System.admin)
            }
            #expect(unknown?.code == .notFound && unknown?.reason == "unknown_device")
        }
    }

    @Test("An aborted message is answered by nobody, on whichever instance it is worked on; the next one is")
    func aborted() async throws {
        let held = TestAgent(isHolding: true)
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: try System.settings, agents: [held])
            let two = try await Instance(2, url: url, settings: try System.settings, agents: [TestAgent()])
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            for id in ["1", "2", "3"] {
                _ = try await one.sessions.send(id: id, body: id, grant: grant, on: socket)
            }
            try await eventually("the first request") { held.requests.count == 1 }
            let first = try await one.sessions.abort(message: "1", grant: grant, on: socket)
            #expect(first == MessageReport(sequence: 1, status: .withdrawn, reason: "aborted"))
            try await eventually("the second request") { held.requests.count == 2 }
            #expect(held.cancellations == 1)
            // From another instance, which has to tell the one that works on it.
            let next = try two.socket()
            let newer = try await two.connect(device, on: next)
            #expect(try await two.sessions.status(ofMessage: "2", grant: newer, on: next).status == .working)
            let second = try await two.sessions.abort(message: "2", grant: newer, on: next)
            #expect(second.status == .withdrawn)
            try await eventually("the second cancellation") { held.cancellations == 2 }
            held.recover()
            try await eventually("the third answer") { next.messages.count == 1 }
            #expect(next.messages.map(\.body) == ["3"])
            let unknown = await #expect(throws: Refusal.self) {
                try await two.sessions.abort(message: "none", grant: newer, on: next)
            }
            #expect(unknown?.code == .notFound)
            await one.kill()
            await two.kill()
        }
    }
}
