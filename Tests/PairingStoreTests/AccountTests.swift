import PairingCore
import PairingStore
import Postgres
import Testing

@Suite("Accounts and tokens")
struct AccountTests {
    private let limits = PairingStore.SignInLimits(
        failuresPerAccount: 3, failuresPerAddress: 5, failuresPerKnownPlace: 4, window: .seconds(900))

    private func attempt(
        _ username: String = "maria", address: String = "198.51.100.7", browser: [UInt8]? = nil
    ) throws -> PairingStore.SignInAttempt {
        PairingStore.SignInAttempt(
            username: username, address: try #require(ClientAddress(address)), browserPlace: browser,
            addressPlace: Array(address.utf8))
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

    /// Signs in, and the browser has a new cookie then.
    private func signIn(
        _ fixture: StoreFixture, _ attempt: PairingStore.SignInAttempt, newBrowser: [UInt8]
    ) async throws {
        #expect(
            try await fixture.store.signedIn(
                attempt, sessionHash: newBrowser, checkedHash: "hash", newPasswordHash: nil,
                newBrowserPlace: newBrowser))
    }

    @Test("A browser or address that signed in before is not locked out of that account by others")
    func knownPlace() async throws {
        try await withAccount { fixture in
            let browser = StoreFixture.bytes(2)
            try await signIn(fixture, attempt(browser: StoreFixture.bytes(1)), newBrowser: browser)
            for index in 0..<50 {
                _ = try await isAdmitted(fixture, attempt(address: "203.0.113.\(index)"))
            }
            #expect(try await !isAdmitted(fixture, attempt(address: "203.0.113.99")))
            #expect(try await isAdmitted(fixture, attempt(address: "203.0.113.98", browser: browser)))
            #expect(try await isAdmitted(fixture, attempt()))
            for index in 0..<3 {
                #expect(try await isAdmitted(fixture, attempt("paul", address: "203.0.112.\(index)")))
            }
            let elsewhere = try attempt("paul", address: "203.0.112.9", browser: browser)
            #expect(try await !isAdmitted(fixture, elsewhere), "places are known by account")
        }
    }

    @Test("A place that signed in before guesses so often, then it waits; the owner's browser there does not")
    func knownPlaceLimit() async throws {
        try await withAccount { fixture in
            let browser = StoreFixture.bytes(2)
            try await signIn(fixture, attempt(browser: StoreFixture.bytes(1)), newBrowser: browser)
            let admitted = try await atOnce(60) { index in
                try await isAdmitted(fixture, attempt(browser: StoreFixture.bytes(100 + index)))
            }
            #expect(admitted.filter { $0 }.count == 4)
            let stranger = try attempt(address: "203.0.113.1")
            #expect(try await isAdmitted(fixture, stranger), "strangers pay for none of it")
            for _ in 0..<4 { #expect(try await isAdmitted(fixture, attempt(browser: browser))) }
            #expect(try await !isAdmitted(fixture, attempt(browser: browser)))
        }
    }

    @Test("A browser cookie that somebody planted is known to no account after the sign-in")
    func plantedCookie() async throws {
        try await withAccount { fixture in
            _ = try await fixture.store.createAdmin(
                username: "paul", passwordHash: "hash", by: StoreFixture.admin)
            let planted = StoreFixture.bytes(1)
            let (first, second) = (StoreFixture.bytes(2), StoreFixture.bytes(3))
            try await signIn(fixture, attempt(browser: planted), newBrowser: first)
            let elsewhere = "203.0.113.1"
            #expect(
                try await !fixture.store.isFromKnownPlace(attempt(address: elsewhere, browser: planted)))
            #expect(try await fixture.store.isFromKnownPlace(attempt(address: elsewhere, browser: first)))
            try await signIn(fixture, attempt("paul", browser: first), newBrowser: second)
            for name in ["maria", "paul"] {
                #expect(
                    try await fixture.store.isFromKnownPlace(
                        attempt(name, address: elsewhere, browser: second)))
                #expect(
                    try await !fixture.store.isFromKnownPlace(
                        attempt(name, address: elsewhere, browser: first)))
            }
        }
    }

    @Test("An operator's unlocking, and a new password, let the owner in; an address can be let in for good")
    func unlocking() async throws {
        try await withAccount { fixture in
            let store = fixture.store
            func lock() async throws {
                for index in 0..<4 {
                    _ = try await isAdmitted(fixture, attempt(address: "203.0.113.\(index)"))
                }
                #expect(try await !isAdmitted(fixture, attempt(address: "198.51.100.1")))
            }
            try await lock()
            #expect(try await store.unlockAdmin(username: "maria", knowing: nil, by: StoreFixture.admin))
            #expect(try await isAdmitted(fixture, attempt(address: "198.51.100.1")))
            try await lock()
            #expect(
                try await store.setPassword(username: "maria", passwordHash: "h", by: StoreFixture.admin))
            #expect(try await isAdmitted(fixture, attempt(address: "198.51.100.1")))
            try await lock()
            let home = try attempt(address: "192.0.2.1")
            #expect(
                try await store.unlockAdmin(
                    username: "maria", knowing: (hash: home.addressPlace, address: home.address),
                    by: StoreFixture.admin))
            try await lock()
            for _ in 0..<4 { #expect(try await isAdmitted(fixture, home)) }
            #expect(try await !isAdmitted(fixture, home))
            #expect(try await store.unlockAdmin(username: "maria", knowing: nil, by: StoreFixture.admin))
            #expect(try await isAdmitted(fixture, home), "its own failures are forgotten as well")
            #expect(try await !store.unlockAdmin(username: "nobody", knowing: nil, by: StoreFixture.admin))
            #expect(try await fixture.events().filter { $0.event == "admin.unlocked" }.count == 3)
        }
    }

    @Test("What is typed as a name and is no account's stays nowhere")
    func typedPassword() async throws {
        try await withAccount { fixture in
            let typed = "correct-horse-battery"
            for name in [typed, "maria"] {
                _ = try await isAdmitted(fixture, attempt(name))
                try await fixture.store.recordFailedSignIn(attempt(name))
            }
            let tables = try await fixture.pool.query(
                """
                SELECT query_to_xml('SELECT * FROM sign_in_failures', true, false, '')::text
                    || query_to_xml('SELECT * FROM events', true, false, '')::text AS everything
                """)
            let everything = try #require(tables.first).text("everything")
            #expect(!everything.contains(typed))
            #expect(everything.contains("unknownAccount"))
            let names = try await fixture.pool.query(
                "SELECT details->>'username' AS name FROM events WHERE event = 'admin.sign_in_failed'"
            ).map { try $0.optionalText("name") }
            #expect(names == [nil, "maria"])
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
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "hash", newPasswordHash: nil,
                    newBrowserPlace: StoreFixture.bytes(900)))
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
                let attempt = try attempt(name, browser: StoreFixture.bytes(index % 3))
                _ = try await fixture.store.admit(attempt, limits: limits)
                _ = try await fixture.store.signedIn(
                    attempt, sessionHash: StoreFixture.bytes(1000 + index), checkedHash: "hash",
                    newPasswordHash: nil, newBrowserPlace: StoreFixture.bytes(1000 + index))
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
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "hash", newPasswordHash: nil,
                    newBrowserPlace: StoreFixture.bytes(900)))
            #expect(try await fixture.number("SELECT count(*) FROM admin_sessions") == 0)
            #expect(
                try await fixture.store.signedIn(
                    attempt(), sessionHash: StoreFixture.bytes(3), checkedHash: "new",
                    newPasswordHash: "dearer", newBrowserPlace: StoreFixture.bytes(900)))
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
                    attempt(), sessionHash: hash, checkedHash: "hash", newPasswordHash: nil,
                    newBrowserPlace: StoreFixture.bytes(900))
            }
            func account(renews: Bool = false) async throws -> String? {
                try await store.account(
                    ofSession: hash, idle: .seconds(3600), absolute: .seconds(86400), renews: renews)?
                    .username
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
            let used = try #require(try await store.tokens(hashes: [StoreFixture.bytes(1)])[0])
            #expect(used.id == first.id)
            #expect(used.owner == "maria")
            #expect(used.isLive)
            #expect(try await store.tokens(hashes: [StoreFixture.bytes(9)])[0] == nil)
            #expect(try await store.tokens().map(\.id) == [second.id, first.id])
            #expect(try await store.tokens().last?.lastUsedAt != nil)
            #expect(
                Set(try await store.liveTokens(among: [first.id, second.id, 99]).map(\.id)) == [
                    first.id, second.id,
                ])
            #expect(try await store.revokeToken(id: first.id, by: StoreFixture.admin))
            #expect(try await !store.revokeToken(id: first.id, by: StoreFixture.admin))
            #expect(try await store.tokens(hashes: [StoreFixture.bytes(1)])[0] == nil)
            try await fixture.pool.execute(
                "UPDATE api_tokens SET expires_at = clock_timestamp() WHERE token_id = $1",
                [.int64(second.id)])
            #expect(try await store.tokens(hashes: [StoreFixture.bytes(2)])[0] == nil)
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
