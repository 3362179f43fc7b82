import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Accounts and tokens")
struct AccountTests {
    private let limits = PairingStore.SignInLimits(
        failuresPerAccount: 3, failuresPerAddress: 5, window: .seconds(900))

    private func attempt(
        _ username: String = "maria", address: String = "198.51.100.7", places: [[UInt8]] = []
    ) throws -> PairingStore.SignInAttempt {
        PairingStore.SignInAttempt(
            username: username, address: try #require(ClientAddress(address)), places: places)
    }

    private func isAdmitted(
        _ fixture: StoreFixture, _ attempt: PairingStore.SignInAttempt
    ) async throws -> Bool {
        guard case .check = try await fixture.store.admit(attempt, limits: limits) else { return false }
        return true
    }

    private func withAccount(_ body: @Sendable (StoreFixture) async throws -> Void) async throws {
        try await StoreFixture.run { fixture in
            #expect(
                try await fixture.store.createAdmin(
                    username: "maria", passwordHash: "hash", by: Origination(.operatingSystem("root"))))
            try await body(fixture)
        }
    }

    @Test("An account fails so often, then strangers wait; another account doesn't")
    func accountLimit() async throws {
        try await withAccount { fixture in
            for index in 0..<3 {
                #expect(try await isAdmitted(fixture, attempt(address: "198.51.100.\(index)")))
            }
            let admission = try await fixture.store.admit(attempt(address: "198.51.100.9"), limits: limits)
            guard case .wait(let wait) = admission else { throw Unexpected("to wait", admission) }
            #expect(wait > .seconds(780) && wait <= .seconds(900))
            #expect(try await isAdmitted(fixture, attempt("paul", address: "198.51.100.9")))
        }
    }

    @Test("An address fails so often, over all accounts, then it waits")
    func addressLimit() async throws {
        try await withAccount { fixture in
            var admitted = 0
            for index in 0..<8 where try await isAdmitted(fixture, attempt("user-\(index)")) {
                admitted += 1
            }
            #expect(admitted == 5)
            #expect(try await isAdmitted(fixture, attempt("user-9", address: "198.51.100.8")))
        }
    }

    @Test("Attempts side by side count as well")
    func sideBySide() async throws {
        try await withAccount { fixture in
            let admitted = try await atOnce(30) { index in
                try await isAdmitted(fixture, attempt(address: "198.51.100.\(index)"))
            }
            #expect(admitted.filter { $0 }.count == 3)
        }
    }

    @Test("A browser or address that signed in before is never locked out of that account")
    func knownPlace() async throws {
        try await withAccount { fixture in
            let browser = StoreFixture.bytes(1)
            let known = try attempt(places: [browser, StoreFixture.bytes(2)])
            #expect(
                try await fixture.store.signedIn(
                    known, sessionHash: StoreFixture.bytes(3), checkedHash: "hash", newPasswordHash: nil))
            for index in 0..<50 {
                _ = try await isAdmitted(fixture, attempt(address: "203.0.113.\(index)"))
            }
            #expect(try await !isAdmitted(fixture, attempt(address: "203.0.113.99")))
            #expect(try await isAdmitted(fixture, attempt(address: "203.0.113.98", places: [browser])))
            #expect(
                try await isAdmitted(
                    fixture, attempt(address: "203.0.113.97", places: [StoreFixture.bytes(2)])))
            for index in 0..<3 {
                #expect(try await isAdmitted(fixture, attempt("paul", address: "203.0.112.\(index)")))
            }
            let elsewhere = try attempt("paul", address: "203.0.112.9", places: [browser])
            #expect(try await !isAdmitted(fixture, elsewhere), "places are known by account")
        }
    }

    @Test("After its window a count begins anew, and a success clears it")
    func window() async throws {
        try await withAccount { fixture in
            for _ in 0..<4 { _ = try await isAdmitted(fixture, attempt()) }
            #expect(try await !isAdmitted(fixture, attempt()))
            try await fixture.pool.execute(
                "UPDATE sign_in_failures SET window_started_at = window_started_at - interval '16 minutes'")
            #expect(try await isAdmitted(fixture, attempt()))
            #expect(
                try await fixture.store.signedIn(
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "hash", newPasswordHash: nil))
            #expect(try await fixture.number("SELECT count(*) FROM sign_in_failures") == 0)
        }
    }

    @Test("Admissions and successes of one account and address side by side never deadlock")
    func lockOrder() async throws {
        try await StoreFixture.run(connections: 16) { fixture in
            for name in ["maria", "paul"] {
                _ = try await fixture.store.createAdmin(
                    username: name, passwordHash: "hash", by: StoreFixture.admin)
            }
            // The address's row first in the table: a scan of it meets the rows in the other order.
            _ = try await fixture.store.admit(attempt("someone"), limits: limits)
            _ = try await atOnce(120) { index in
                let name = index.isMultiple(of: 2) ? "maria" : "paul"
                let attempt = try attempt(
                    name, places: [StoreFixture.bytes(index % 3), StoreFixture.bytes(7)])
                _ = try await fixture.store.admit(attempt, limits: limits)
                _ = try await fixture.store.signedIn(
                    attempt, sessionHash: StoreFixture.bytes(1000 + index), checkedHash: "hash",
                    newPasswordHash: nil)
            }
        }
    }

    @Test("A password that was changed while it was checked signs nobody in")
    func changedMeanwhile() async throws {
        try await withAccount { fixture in
            #expect(
                try await fixture.store.setPassword(
                    username: "maria", passwordHash: "new", by: StoreFixture.admin))
            #expect(
                try await !fixture.store.signedIn(
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "hash", newPasswordHash: nil))
            #expect(try await fixture.number("SELECT count(*) FROM admin_sessions") == 0)
            #expect(
                try await fixture.store.signedIn(
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "new",
                    newPasswordHash: "dearer"))
            guard case .check(let hash) = try await fixture.store.admit(attempt(), limits: limits) else {
                Issue.record("expected a hash")
                return
            }
            #expect(hash == "dearer")
        }
    }

    @Test("A session lasts while it is used and not too old, and ends with sign-out, password and account")
    func sessions() async throws {
        try await withAccount { fixture in
            let store = fixture.store
            let hash = StoreFixture.bytes(3)
            func signIn() async throws {
                _ = try await store.signedIn(
                    attempt(), sessionHash: hash, checkedHash: "hash", newPasswordHash: nil)
            }
            func account(renews: Bool = false) async throws -> String? {
                try await store.account(
                    ofSession: hash, idle: .seconds(3600), absolute: .seconds(86400), renews: renews)
            }
            func age(_ column: String, _ interval: String) async throws {
                try await fixture.pool.execute(
                    "UPDATE admin_sessions SET \(column) = \(column) - interval '\(interval)'")
            }
            try await signIn()
            #expect(try await account() == "maria")
            try await age("last_used_at", "59 minutes")
            #expect(try await account() == "maria")
            #expect(try await account(renews: true) == "maria")
            try await age("last_used_at", "59 minutes")
            #expect(try await account() == "maria", "use renewed it")
            try await age("last_used_at", "1 minute")
            #expect(try await account(renews: true) == nil, "idle for too long")
            #expect(try await store.removeEndedSessions(idle: .seconds(3600), absolute: .seconds(86400)) == 1)
            try await signIn()
            try await age("created_at", "1 day")
            #expect(try await account(renews: true) == nil, "too old, however much it is used")
            try await fixture.pool.execute("DELETE FROM admin_sessions")
            try await signIn()
            try await store.endSession(hash: hash, address: nil)
            try await store.endSession(hash: hash, address: nil)
            #expect(try await account() == nil)
            try await signIn()
            _ = try await store.setPassword(username: "maria", passwordHash: "hash", by: StoreFixture.admin)
            #expect(try await account() == nil)
            let names = try await fixture.events().map(\.event)
            #expect(
                names == [
                    "admin.created", "admin.signed_in", "admin.signed_in", "admin.signed_in",
                    "admin.signed_out", "admin.signed_in", "admin.password_changed",
                ])
        }
    }

    @Test("A wrong password is one event for each account and address a minute")
    func failureEvents() async throws {
        try await withAccount { fixture in
            for _ in 0..<3 { try await fixture.store.recordFailedSignIn(attempt()) }
            try await fixture.store.recordFailedSignIn(attempt("paul"))
            try await fixture.store.recordFailedSignIn(attempt(address: "198.51.100.8"))
            let failures = try await fixture.events().filter { $0.event == "admin.sign_in_failed" }
            #expect(failures.count == 3)
            #expect(failures.map(\.actorKind) == ["system", "system", "system"])
        }
    }

    @Test("Two administrators who remove each other at once: the last one stays")
    func lastAdmin() async throws {
        try await StoreFixture.run { fixture in
            for round in 0..<10 {
                let names = ["a-\(round)", "b-\(round)"]
                try await fixture.pool.execute("DELETE FROM admins")
                for name in names {
                    #expect(
                        try await fixture.store.createAdmin(
                            username: name, passwordHash: "hash", by: StoreFixture.admin))
                }
                let outcomes = try await atOnce(2) { index in
                    try await fixture.store.removeAdmin(
                        username: names[index], by: Origination(.administrator(names[1 - index])))
                }
                #expect(outcomes.compactMap { try? $0.done() }.count == 1)
                #expect(
                    outcomes.compactMap { try? $0.refusal() }.map(\.reason) == ["last_administrator"])
                #expect(try await fixture.store.admins().count == 1)
            }
            #expect(
                try await fixture.store.removeAdmin(username: "nobody", by: StoreFixture.admin).refusal().code
                    == .notFound)
            let last = try #require(try await fixture.store.admins().first).username
            #expect(
                try await !fixture.store.createAdmin(
                    username: last, passwordHash: "x", by: StoreFixture.admin))
            #expect(
                try await !fixture.store.setPassword(
                    username: "nobody", passwordHash: "x", by: StoreFixture.admin))
        }
    }

    @Test("A token lives until it is revoked, expires, or its owner is removed")
    func tokens() async throws {
        try await withAccount { fixture in
            let store = fixture.store
            func token(_ seed: Int, _ owner: String = "maria") async throws -> PairingStore.TokenRow? {
                try await store.createToken(
                    hash: StoreFixture.bytes(seed), owner: owner, name: "token-\(seed)", scope: "read",
                    lifetime: .seconds(3600), by: StoreFixture.admin)
            }
            let first = try #require(try await token(1))
            let second = try #require(try await token(2))
            #expect(try await token(3, "nobody") == nil)
            let used = try #require(try await store.token(hash: StoreFixture.bytes(1)))
            #expect(used.id == first.id)
            #expect(used.owner == "maria")
            #expect(used.isLive)
            #expect(try await store.token(hash: StoreFixture.bytes(9)) == nil)
            #expect(try await store.tokens().map(\.id) == [second.id, first.id])
            #expect(try await store.tokens().last?.lastUsedAt != nil)
            #expect(try await store.liveTokens(among: [first.id, second.id, 99]) == [first.id, second.id])
            #expect(try await store.revokeToken(id: first.id, by: StoreFixture.admin))
            #expect(try await !store.revokeToken(id: first.id, by: StoreFixture.admin))
            #expect(try await store.token(hash: StoreFixture.bytes(1)) == nil)
            try await fixture.pool.execute(
                "UPDATE api_tokens SET expires_at = clock_timestamp() WHERE token_id = $1",
                [.int64(second.id)])
            #expect(try await store.token(hash: StoreFixture.bytes(2)) == nil)
            #expect(try await store.liveTokens(among: [first.id, second.id]).isEmpty)
            let third = try #require(try await token(3))
            _ = try await store.createAdmin(username: "paul", passwordHash: "h", by: StoreFixture.admin)
            _ = try await store.removeAdmin(username: "maria", by: StoreFixture.admin).done()
            #expect(try await store.liveTokens(among: [third.id]).isEmpty)
            let events = try await fixture.events().map(\.event).filter { $0.hasPrefix("token.") }
            #expect(events == ["token.created", "token.created", "token.revoked", "token.created"])
        }
    }
}
