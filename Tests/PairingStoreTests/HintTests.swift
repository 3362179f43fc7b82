import Logging
import PairingCore
import Postgres
import Testing

@testable import PairingStore

@Suite("Hints")
struct HintTests {
    private let instance = "11111111-0000-4000-8000-000000000000"

    @Test("A notification of replaced sessions names the instance, the devices and their newer epochs")
    func parses() throws {
        let (instance, sessions) = try #require(
            PairingStore.ReplacedSession.parse("\(instance) tablet-01=7 sensor:7@hall=9223372036854775807"))
        #expect(instance.text == self.instance)
        #expect(
            sessions == [
                PairingStore.ReplacedSession(senderKey: "tablet-01", epoch: Epoch(7)),
                PairingStore.ReplacedSession(senderKey: "sensor:7@hall", epoch: Epoch(.max)),
            ])
    }

    @Test("What another program notifies there ends nothing")
    func hostile() throws {
        for payload in ["", " ", "tablet-01=7", "nonsense tablet-01=7", "\u{0}"] {
            #expect(PairingStore.ReplacedSession.parse(payload) == nil, "\(payload)")
        }
        let (_, sessions) = try #require(
            PairingStore.ReplacedSession.parse("\(instance) a b= =1 c=x d=1=2 e=9223372036854775808 f=3"))
        #expect(sessions == [PairingStore.ReplacedSession(senderKey: "f", epoch: Epoch(3))])
    }

    @Test("Gateways that held an older session are told, in pieces that fit a notification")
    func notified() async throws {
        try await StoreFixture.run { fixture in
            let listener = PostgresListener(
                configuration: try PostgresConfiguration(fixture.url), channels: StoreHints.channels,
                logger: Logger(label: "test"))
            let running = Task { try await listener.run() }
            var hints = StoreHints(listener).hints.makeAsyncIterator()
            // The first hint says that the listener is connected.
            #expect(try await hints.next() == .readFeed)
            var arrivals: [PairingStore.Arrival] = []
            for index in 0..<100 {
                let sender = "t-\(index)-" + String(repeating: "x", count: 120)
                let device = try await fixture.paired(sender, credential: StoreFixture.key(index))
                arrivals.append(
                    PairingStore.Arrival(
                        senderID: device.senderID, generation: device.generation,
                        address: try #require(StoreFixture.address)))
            }
            let (one, two) = (StoreFixture.instances[0], StoreFixture.instances[1])
            _ = try await fixture.store.beginSessions(arrivals, on: one)
            _ = try await fixture.store.beginSessions(arrivals, on: one)
            _ = try await fixture.store.beginSessions(arrivals, on: two)
            var replaced: Set<String> = []
            while replaced.count < arrivals.count, let hint = try await hints.next() {
                guard case .replaced(let sessions, on: let instance) = hint else { continue }
                #expect(instance == one)
                #expect(sessions.allSatisfy { $0.epoch == Epoch(3) })
                replaced.formUnion(sessions.map(\.senderKey))
            }
            #expect(replaced == Set(arrivals.map(\.senderID.key)))
            running.cancel()
            _ = await running.result
        }
    }
}
