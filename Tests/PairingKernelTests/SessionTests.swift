import PairingCore
import PairingStore
import Postgres
import Testing

@testable import PairingKernel

@Suite("Sessions over two instances")
struct SessionTests {
    @Test(
        "A paired device connects to the other instance from another address, and the older socket is replaced"
    )
    func replaced() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let first = try one.socket()
            let older = try await one.connect(device, on: first)
            let second = try two.socket("203.0.113.9")
            let newer = try await two.connect(device, on: second)
            #expect(newer.epoch > older.epoch)
            #expect(try await first.closure() == .replaced)
            let third = try two.socket()
            _ = try await two.connect(device, on: third)
            #expect(try await second.closure() == .replaced)
            #expect(one.sessions.liveCount == 0)
            #expect(two.sessions.liveCount == 1)
            let refusal = await #expect(throws: Refusal.self) {
                try await one.sessions.send(id: "1", body: "1", grant: older, on: first)
            }
            #expect(refusal?.reason == "session_ended")
        }
    }

    @Test("A revocation closes the socket on the other instance with 4001, and connecting is then NOT_PAIRED")
    func revoked() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let socket = try one.socket()
            let grant = try await one.connect(device, on: socket)
            try await two.revoke(device)
            #expect(try await socket.closure() == .revoked)
            #expect(one.sessions.liveCount == 0)
            for instance in [one, two] {
                let refusal = try await instance.refusal(of: device)
                #expect(refusal?.code == .notPaired)
                #expect(refusal?.reason == "revoked")
            }
            let refusal = await #expect(throws: Refusal.self) {
                try await one.sessions.send(id: "1", body: "1", grant: grant, on: socket)
            }
            #expect(refusal?.code == .notPaired)
            let peer = try TestPeer.fresh()
            #expect(
                try await two.sessions.status(of: try device.identity(.status, to: peer), from: peer)
                    == .revoked())
            try await eventually("the device as not connected") {
                try await two.kernel.administration.device(device.senderID, by: System.admin)
                    .allSatisfy { !$0.isConnected }
            }
        }
    }

    @Test("A revocation racing a connection, hundreds of times: no session is left, and the device reads why")
    func connectRacesRevoke() async throws {
        try await System.run { one, two in
            for round in 0..<50 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for lane in 0..<6 {
                        group.addTask {
                            let device = try await one.pair("tablet-\(round)-\(lane)")
                            let socket = try one.socket()
                            async let connection = Result { try await one.connect(device, on: socket) }
                            if lane > 2 { try await Task.sleep(for: .milliseconds(lane)) }
                            try await two.revoke(device)
                            switch await connection {
                            case .success: #expect(try await socket.closure() == .revoked)
                            case .failure(let error):
                                #expect((error as? Refusal)?.reason == "revoked", "\(error)")
                            }
                            #expect(try await one.refusal(of: device)?.reason == "revoked")
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(one.sessions.liveCount == 0)
        }
    }

    @Test("Without any notification instances converge by comparing with the database")
    func reconciles() async throws {
        try await System.run(listens: false, settings: { $0.authorityLease = .seconds(4) }) { one, two in
            let revoked = try await one.pair("revoked")
            let replaced = try await one.pair("replaced")
            let approved = try TestDevice("approved")
            let sockets = [try one.socket(), try one.socket(), try one.socket()]
            try await one.connect(revoked, on: sockets[0])
            try await one.connect(replaced, on: sockets[1])
            let ticket = try await one.ask(approved, on: sockets[2])
            try await two.revoke(revoked)
            try await two.connect(replaced, on: try two.socket())
            try await two.approve(ticket)
            #expect(try await sockets[0].closure() == .revoked)
            #expect(try await sockets[1].closure() == .replaced)
            guard case .approved(_, .some) = try await sockets[2].resolution() else {
                Issue.record("expected to be authenticated")
                return
            }
            #expect(one.sessions.liveCount == 1)
        }
    }

    @Test("The listening connections are cut again and again: revocations arrive all the same")
    func listenerCut() async throws {
        try await System.run(settings: { $0.authorityLease = .seconds(4) }) { one, two in
            for round in 0..<5 {
                let device = try await one.pair("tablet-\(round)")
                let socket = try one.socket()
                try await one.connect(device, on: socket)
                // One that has nothing to hear asks for 1 every few seconds.
                _ = try await two.pool.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')
                    """)
                try await two.revoke(device)
                #expect(try await socket.closure() == .revoked)
            }
        }
    }

    @Test("A socket that closes before, while or after it connects leaves no session behind")
    func detached() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let before = try one.socket()
            one.sessions.detach(before)
            let refusal = await #expect(throws: Refusal.self) { try await one.connect(device, on: before) }
            #expect(refusal?.reason == "session_ended")
            for round in 0..<40 {
                let socket = try one.socket()
                async let connection = Result { try await one.connect(device, on: socket) }
                if round.isMultiple(of: 2) { try await Task.sleep(for: .microseconds(round * 100)) }
                one.sessions.detach(socket)
                _ = await connection
                #expect(one.sessions.liveCount == 0)
            }
            try await eventually("the device as not connected") {
                try await two.kernel.administration.device(device.senderID, by: System.admin)
                    .allSatisfy { !$0.isConnected }
            }
        }
    }

    @Test("Hundreds of connections of one device on both instances at once leave exactly one session")
    func oneSession() async throws {
        try await System.run { one, two in
            let device = try await one.pair("tablet-01")
            let instances = (0..<100).map { $0.isMultiple(of: 2) ? one : two }
            let sockets = try instances.map { try $0.socket() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (instance, socket) in zip(instances, sockets) {
                    group.addTask {
                        do {
                            try await instance.connect(device, on: socket)
                        } catch let refusal as Refusal {
                            #expect(refusal.reason == "session_ended", "\(refusal)")
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await eventually("one session") { one.sessions.liveCount + two.sessions.liveCount == 1 }
            try await eventually("the others closed") { sockets.filter { $0.closures.isEmpty }.count == 1 }
            #expect(sockets.allSatisfy { $0.closures.allSatisfy { $0 == .replaced } })
        }
    }

    @Test("An instance that stops gracefully holds no device any more")
    func gracefulStop() async throws {
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: try System.settings)
            let two = try await Instance(2, url: url, settings: try System.settings)
            let device = try await one.pair("tablet-01")
            try await one.connect(device, on: try one.socket())
            func isConnected() async throws -> Bool {
                try await two.kernel.administration.device(device.senderID, by: System.admin)[0].isConnected
            }
            #expect(try await isConnected())
            try await one.stop()
            #expect(try await !isConnected())
            await two.kill()
        }
    }

    @Test("A pending request outlives its instance, and its device is authenticated on another (I12)")
    func outlives() async throws {
        try await System.withDatabase { url in
            let one = try await Instance(1, url: url, settings: try System.settings)
            let device = try TestDevice("tablet-01")
            let ticket = try await one.ask(device, on: try one.socket())
            await one.kill()
            let two = try await Instance(2, url: url, settings: try System.settings)
            let socket = try two.socket()
            let again = try await two.ask(device, on: socket)
            #expect(again.requestID == ticket.requestID)
            #expect(again.code == ticket.code)
            try await two.approve(ticket)
            guard case .approved(_, .some) = try await socket.resolution() else {
                Issue.record("expected to be authenticated")
                return
            }
            await two.kill()
        }
    }

    @Test("An administrator's socket is closed when its token is revoked, and when its session ends")
    func administratorSockets() async throws {
        try await System.run(settings: { $0.authorityLease = .seconds(4) }) { one, two in
            let accounts = one.kernel.accounts
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let (secret, token) = try await accounts.createToken(
                owner: "maria", name: "ci", scope: .administer, lifetime: .seconds(3600), by: System.admin)
            let socket = try one.socket()
            let address = try #require(ClientAddress("192.0.2.1"))
            one.sessions.watch(try await accounts.authenticate(token: secret, from: address), on: socket)
            let signIn = try await accounts.signIn(
                username: "maria", password: "a long password", address: address, browser: nil)
            let session = try #require(try await accounts.session(secret: signIn.sessionSecret))
            let page = try one.socket()
            one.sessions.watch(session.authority, on: page)
            try await two.kernel.accounts.revokeToken(id: token.id, by: System.admin)
            #expect(try await socket.closure() == .authorityEnded)
            #expect(page.closures.isEmpty)
            try await two.kernel.accounts.signOut(secret: signIn.sessionSecret)
            #expect(try await page.closure() == .authorityEnded)
        }
    }
}

extension Result where Failure == any Error {
    init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
