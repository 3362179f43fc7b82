import Agents
import PairingCore
import PairingStore
import Postgres
import Synchronization
import Testing

@testable import PairingKernel

@Suite("Agents' work apart from sockets (I4)")
struct AgentWorkTests {
    private func send(
        _ bodies: [String], from socket: RecordingSocket, _ grant: SessionGrant, to instance: Instance
    ) async throws {
        for body in bodies {
            _ = try await instance.sessions.send(id: "id-\(body)", body: body, grant: grant, on: socket)
        }
    }

    private func events(_ name: String, of socket: RecordingSocket) -> [String] {
        socket.frames.filter { $0.event == name }.map(\.payload)
    }

    @Test(
        "A device that has gone has its messages answered all the same, and reads the answers when it is back"
    )
    func disconnected() async throws {
        let agent = TestAgent(isHolding: true)
        try await System.run(agents: [agent]) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send(["1", "2", "3"], from: socket, grant, to: one)
            one.sessions.detach(socket)
            agent.recover()
            try await eventually("three answers in the store") {
                try await one.pool.query("SELECT 1 FROM messages WHERE direction = 'out'").count == 3
            }
            let next = try two.socket()
            try await two.connect(device, on: next)
            try await eventually("three answers") { next.messages.count == 3 }
            #expect(next.messages.map(\.body) == ["1", "2", "3"])
            #expect(agent.requests.map(\.body) == ["1", "2", "3"])
        }
    }

    @Test("What a killed instance had claimed is answered by another, in order, with the same keys")
    func killed() async throws {
        let held = TestAgent(isHolding: true)
        let quick = TestAgent()
        var settings = try System.settings
        settings.workLease = .seconds(2)
        let final = settings
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: final, agents: [held])
            let two = try await Instance(2, url: url, settings: final, agents: [quick])
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send((1...20).map(String.init), from: socket, grant, to: one)
            try await eventually("the first request") { held.requests.count == 1 }
            await one.kill()
            let next = try two.socket()
            let newer = try await two.connect(device, on: next)
            try await send(["21"], from: next, newer, to: two)
            try await eventually("all answers") { next.messages.count >= 21 }
            #expect(next.messages.map(\.body) == (1...21).map(String.init))
            #expect(next.messages.map(\.sequence) == Array(1...21))
            #expect(quick.requests.first?.key == held.requests.first?.key)
            #expect(quick.requests.first?.key == "tablet-01/1/1/0")
            await two.kill()
        }
    }

    @Test("A device that moves to another instance has its work done there, and nothing overtakes anything")
    func moves() async throws {
        let first = TestAgent(isHolding: true)
        let second = TestAgent()
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: try System.settings, agents: [first])
            let two = try await Instance(2, url: url, settings: try System.settings, agents: [second])
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send(["1", "2", "3"], from: socket, grant, to: one)
            try await eventually("the first request") { first.requests.count == 1 }
            let next = try two.socket()
            let newer = try await two.connect(device, on: next)
            try await send(["4"], from: next, newer, to: two)
            #expect(second.requests.isEmpty)
            first.recover()
            try await eventually("all answers") { next.messages.count >= 4 }
            #expect(next.messages.map(\.body) == ["1", "2", "3", "4"])
            // What was under way is not given up for it.
            #expect(second.requests.last?.body == "4" && second.requests.count < 4)
            await one.kill()
            await two.kill()
        }
    }

    @Test(
        "A message that its agent always fails on ends as undeliverable; the device is told, and the next follows"
    )
    func poison() async throws {
        let agent = TestAgent()
        try await System.run(agents: [agent]) { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send([#""broken""#, #""poison""#, "3"], from: socket, grant, to: one)
            try await eventually("the answer behind them") { socket.messages.count == 1 }
            #expect(socket.messages.map(\.body) == ["3"])
            try await eventually("the failures") { events("message.failed", of: socket).count == 5 }
            #expect(
                events("message.failed", of: socket)
                    == Array(
                        repeating: #"{"inReplyTo":"id-\"broken\"","reason":"unreachable","retrying":true}"#,
                        count: 3) + [
                        #"{"inReplyTo":"id-\"broken\"","reason":"unreachable","retrying":false}"#,
                        #"{"inReplyTo":"id-\"poison\"","reason":"refused","retrying":false}"#,
                    ])
            let rows = try await one.pool.query(
                "SELECT sequence, ended, end_reason FROM messages WHERE ended IS NOT NULL ORDER BY sequence")
            #expect(try rows.map { try $0.text("ended") } == ["undeliverable", "undeliverable"])
            #expect(try rows.map { try $0.text("end_reason") } == ["unreachable", "refused"])
        }
    }

    @Test(
        "An agent that the channel names is asked; one that does not exist ends the message; agents don't wait for each other"
    )
    func named() async throws {
        let slow = TestAgent("slow", isHolding: true)
        let quick = TestAgent("quick")
        try await System.run(agents: [slow, quick]) { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await one.pool.execute("UPDATE device_streams SET agents = '{slow,quick,nobody}'")
            for (id, agent) in [("1", nil), ("2", "quick"), ("3", "nobody"), ("4", "quick")] {
                _ = try await one.sessions.send(
                    id: id, body: id, agent: agent, grant: grant, on: socket)
            }
            try await eventually("the quick answers") { socket.messages.count == 2 }
            #expect(socket.messages.map(\.body) == ["2", "4"])
            #expect(socket.messages.map(\.agent) == ["quick", "quick"])
            try await eventually("the failure") {
                events("message.failed", of: socket)
                    == [#"{"inReplyTo":"3","reason":"refused","retrying":false}"#]
            }
            slow.recover()
            try await eventually("the slow answer") { socket.messages.count == 3 }
            #expect(socket.messages.map(\.sequence) == [1, 2, 3])
        }
    }

    @Test("Parts arrive before the whole, and an answer that comes later or never settles its message")
    func partsAndAccepted() async throws {
        try await System.run(agents: [TestAgent()]) { one, _ in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send([#""accept""#, #""parts""#], from: socket, grant, to: one)
            try await eventually("the answer") { socket.messages.count == 1 }
            let shown = socket.frames.filter { $0.event.hasPrefix("message") }.map(\.payload)
            #expect(
                shown.prefix(2) == [
                    #"{"agent":"test","inReplyTo":"id-\"parts\"","part":0,"text":"one "}"#,
                    #"{"agent":"test","inReplyTo":"id-\"parts\"","part":1,"text":"two"}"#,
                ])
            #expect(socket.messages.first?.inReplyTo == #"id-"parts""#)
            #expect(
                try await one.pool.query("SELECT 1 FROM messages WHERE direction = 'in' AND done_at IS NULL")
                    .isEmpty)
        }
    }

    @Test(
        "A revocation withdraws what is not answered, ends what is under way, and nothing is stored after it (I3)"
    )
    func revocation() async throws {
        let agent = TestAgent(isHolding: true)
        try await System.run(agents: [agent]) { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send(["1", "2"], from: socket, grant, to: one)
            try await eventually("the request") { agent.requests.count == 1 }
            try await two.revoke(device)
            try await eventually("the cancellation") { agent.cancellations == 1 }
            agent.recover()
            let rows = try await one.pool.query("SELECT ended, end_reason FROM messages ORDER BY sequence")
            #expect(try rows.map { try $0.optionalText("ended") } == ["withdrawn", "withdrawn"])
            #expect(try rows.map { try $0.optionalText("end_reason") } == ["revoked", "revoked"])
            #expect(agent.requests.count == 1)
        }
    }

    @Test("A stopping instance gives its work back at once")
    func graceful() async throws {
        let held = TestAgent(isHolding: true)
        let quick = TestAgent()
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: try System.settings, agents: [held])
            let two = try await Instance(2, url: url, settings: try System.settings, agents: [quick])
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await send(["1", "2"], from: socket, grant, to: one)
            try await eventually("the request") { held.requests.count == 1 }
            try await one.stop()
            #expect(held.cancellations == 1)
            // Far sooner than the claim would have ended by itself.
            try await eventually("the answers", within: .seconds(6)) {
                try await two.pool.query("SELECT 1 FROM messages WHERE direction = 'out'").count == 2
            }
            #expect(quick.requests.map(\.body) == ["1", "2"])
            await two.kill()
        }
    }
}
