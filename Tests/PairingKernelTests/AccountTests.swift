import Cryptography
import PairingCore
import Postgres
import Testing

@testable import PairingKernel

@Suite("Accounts")
struct AccountTests {
    private let address = ClientAddress("192.0.2.1")

    private func refusal<Value>(_ body: () async throws -> Value) async -> Refusal? {
        do {
            _ = try await body()
            return nil
        } catch {
            return error as? Refusal
        }
    }

    @Test("An administrator signs in, is known by the session, and signs out")
    func signIn() async throws {
        try await System.run { one, two in
            let accounts = one.kernel.accounts
            let address = try #require(address)
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let signIn = try await accounts.signIn(
                username: "Maria", password: "a long password", address: address, browser: nil)
            #expect(signIn.username == "maria")
            let session = try #require(try await two.kernel.accounts.session(secret: signIn.sessionSecret))
            #expect(session.authority.actor == .administrator("maria"))
            #expect(session.authority.scope == .administer)
            #expect(!session.csrfToken.isEmpty)
            #expect(session.csrfToken != signIn.sessionSecret)
            #expect(accounts.isValid(csrfToken: session.csrfToken, expected: session.csrfToken))
            #expect(!accounts.isValid(csrfToken: "", expected: ""))
            #expect(!accounts.isValid(csrfToken: session.csrfToken + "x", expected: session.csrfToken))
            #expect(try await accounts.session(secret: "nonsense") == nil)
            #expect(try await accounts.session(secret: String(signIn.sessionSecret.reversed())) == nil)
            try await accounts.signOut(secret: signIn.sessionSecret)
            #expect(try await two.kernel.accounts.session(secret: signIn.sessionSecret) == nil)
        }
    }

    @Test("Unknown names and wrong passwords read one answer")
    func wrongPassword() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            let address = try #require(address)
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            var refusals: [Refusal?] = []
            for (name, password) in [
                ("maria", "a long passworD"), ("maria", ""), ("nobody", "a long password"), ("", ""),
                ("maria'; --", "x"), ("maria", String(repeating: "x", count: 5000)), ("m\u{0}", "x"),
            ] {
                refusals.append(
                    await refusal {
                        try await accounts.signIn(
                            username: name, password: password, address: address, browser: nil)
                    })
            }
            #expect(refusals.allSatisfy { $0 == refusals[0] && $0?.code == .unauthorized })
        }
    }

    @Test("After too many failures strangers wait; the browser that signed in before doesn't")
    func lockOut() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let browser = try accounts.makeBrowserSecret()
            let home = try #require(ClientAddress("192.0.2.1"))
            let known = try await accounts.signIn(
                username: "maria", password: "a long password", address: home, browser: browser
            ).browserSecret
            #expect(known != browser)
            for index in 0..<12 {
                let address = try #require(ClientAddress("198.51.100.\(index)"))
                _ = await refusal {
                    try await accounts.signIn(
                        username: "maria", password: "a wrong password", address: address, browser: nil)
                }
            }
            let elsewhere = try #require(ClientAddress("203.0.113.1"))
            let locked = await refusal {
                try await accounts.signIn(
                    username: "maria", password: "a long password", address: elsewhere, browser: nil)
            }
            #expect(locked?.code == .resourceExhausted)
            #expect(locked?.retryAfter != nil)
            let planted = await refusal {
                try await accounts.signIn(
                    username: "maria", password: "a long password", address: elsewhere, browser: browser)
            }
            #expect(planted?.code == .resourceExhausted)
            _ = try await accounts.signIn(
                username: "maria", password: "a long password", address: elsewhere, browser: known)
            let anywhere = try #require(ClientAddress("203.0.113.9"))
            try await accounts.unlock(username: "maria", by: System.admin)
            _ = try await accounts.signIn(
                username: "maria", password: "a long password", address: anywhere, browser: nil)
        }
    }

    @Test("While wrong sign-ins come from everywhere at once, most are refused and a known browser gets in")
    func flood() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let home = try #require(ClientAddress("192.0.2.1"))
            let known = try await accounts.signIn(
                username: "maria", password: "a long password", address: home, browser: nil
            ).browserSecret
            let away = try #require(ClientAddress("203.0.113.1"))
            try await withThrowingTaskGroup(of: Refusal?.self) { group in
                for index in 0..<200 {
                    let address = try #require(ClientAddress("198.51.\(index / 100).\(index % 100)"))
                    group.addTask {
                        await refusal {
                            try await accounts.signIn(
                                username: "name-\(index)", password: "a wrong password", address: address,
                                browser: nil)
                        }
                    }
                }
                // The first that ends is one that found no room: by then the lane is full.
                var refusals = [try await group.next() ?? nil]
                _ = try await accounts.signIn(
                    username: "maria", password: "a long password", address: away, browser: known)
                for try await refusal in group { refusals.append(refusal) }
                let refused = refusals.filter { $0?.reason == "sign_ins_waiting" }
                #expect(refusals.first??.reason == "sign_ins_waiting")
                #expect(refused.count > 150)
                #expect(refused.allSatisfy { $0?.retryAfter != nil })
                #expect(refusals.filter { $0?.reason == "wrong_password" }.count >= 8)
            }
        }
    }

    @Test("Names, passwords and tokens outside their bounds are refused")
    func bounds() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            for name in ["", "Maria", "-m", "m m", String(repeating: "m", count: 65), "m\u{E4}"] {
                let refusal = await refusal {
                    try await accounts.create(username: name, password: "a long password", by: System.admin)
                }
                #expect(refusal?.reason == "invalid_username", "\(name)")
            }
            for password in ["", "short", String(repeating: "x", count: 1025)] {
                let refusal = await refusal {
                    try await accounts.create(username: "maria", password: password, by: System.admin)
                }
                #expect(refusal?.reason == "invalid_password")
            }
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let twice = await refusal {
                try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            }
            #expect(twice?.code == .alreadyExists)
            for (name, lifetime, reason) in [
                ("", Duration.seconds(3600), "invalid_token_name"),
                ("a\u{202E}b", .seconds(3600), "invalid_token_name"),
                ("ci", .seconds(3599), "invalid_lifetime"), ("ci", .seconds(401 * 86400), "invalid_lifetime"),
            ] {
                let refusal = await refusal {
                    try await accounts.createToken(
                        owner: "maria", name: name, scope: .read, lifetime: lifetime, by: System.admin)
                }
                #expect(refusal?.reason == reason)
            }
            let last = await refusal { try await accounts.remove(username: "maria", by: System.admin) }
            #expect(last?.reason == "last_administrator")
        }
    }

    @Test("A reading token sees and decides nothing; its secret is shown once and stored nowhere (I9)")
    func scopes() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            let administration = one.kernel.administration
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            let address = try TestPeer.make().address
            let (secret, token) = try await accounts.createToken(
                owner: "maria", name: "dashboard", scope: .read, lifetime: .seconds(3600), by: System.admin)
            #expect(secret.hasPrefix(Accounts.tokenPrefix))
            let authority = try await accounts.authenticate(token: secret, from: address)
            #expect(authority.actor == .apiToken(owner: "maria", name: "dashboard"))
            let ticket = try await one.ask(try TestDevice("tablet-01"), on: try one.socket())
            let page = try await administration.pendingRequests(
                filter: "", after: nil, limit: 10, by: authority)
            #expect(page.rows.count == 1)
            let refusals = [
                await refusal {
                    try await administration.approve(ticket.requestID, code: ticket.code, by: authority)
                },
                await refusal {
                    try await administration.deny(ticket.requestID, code: ticket.code, by: authority)
                },
                await refusal {
                    try await administration.revoke(
                        ticket.senderID, channel: nil, generation: nil, by: authority)
                },
                await refusal { try await administration.clearCooldown(ticket.senderID, by: authority) },
                await refusal {
                    try await accounts.create(username: "paul", password: "a long password", by: authority)
                },
                await refusal {
                    try await accounts.setPassword(
                        username: "maria", password: "a long password", by: authority)
                },
                await refusal { try await accounts.remove(username: "maria", by: authority) },
                await refusal { try await accounts.revokeToken(id: token.id, by: authority) },
                await refusal {
                    try await accounts.createToken(
                        owner: "maria", name: "x", scope: .administer, lifetime: .seconds(3600), by: authority
                    )
                },
            ]
            #expect(refusals.allSatisfy { $0?.code == .forbidden })
            for nonsense in [
                "", "gcn_", secret + "A", String(secret.dropLast()), String(secret.dropFirst(4)),
            ] {
                let refusal = await refusal {
                    try await accounts.authenticate(token: nonsense, from: address)
                }
                #expect(refusal?.code == .unauthorized)
            }
            let tables = try await one.pool.query(
                """
                SELECT query_to_xml('SELECT * FROM api_tokens', true, false, '')::text
                    || query_to_xml('SELECT * FROM events', true, false, '')::text
                    || query_to_xml('SELECT * FROM admins', true, false, '')::text AS everything
                """)
            let everything = try #require(tables.first).text("everything")
            #expect(!everything.contains(String(secret.dropFirst(4))))
            #expect(!everything.contains("a long password"))
        }
    }

    @Test(
        "Thousands of invented tokens keep no valid one out, be it known or new, and revoking works at once")
    func inventedTokens() async throws {
        try await System.run { one, _ in
            let accounts = one.kernel.accounts
            let address = try #require(address)
            try await accounts.create(username: "maria", password: "a long password", by: System.admin)
            func make(_ name: String) async throws -> (secret: String, token: APIToken) {
                try await accounts.createToken(
                    owner: "maria", name: name, scope: .read, lifetime: .seconds(3600), by: System.admin)
            }
            let (familiar, known) = try await make("known")
            _ = try await accounts.authenticate(token: familiar, from: address)
            let (new, _) = try await make("new")
            try await withThrowingTaskGroup(of: Refusal?.self) { group in
                for index in 0..<3000 {
                    let stranger = try #require(ClientAddress("198.51.\(index % 8).\(index % 250)"))
                    let invented = Accounts.tokenPrefix + Base64URL.encode(try randomBytes(count: 32))
                    group.addTask {
                        await refusal { try await accounts.authenticate(token: invented, from: stranger) }
                    }
                }
                // The first that ends is one that was refused a place, or looked up: the others wait by then.
                _ = try await group.next()
                for _ in 0..<25 {
                    _ = try await accounts.authenticate(token: familiar, from: address)
                    _ = try await accounts.authenticate(token: new, from: address)
                }
                for try await refusal in group {
                    #expect([.unauthorized, .resourceExhausted].contains(refusal?.code))
                }
            }
            try await accounts.revokeToken(id: known.id, by: System.admin)
            for _ in 0..<2 {
                let refusal = await refusal {
                    try await accounts.authenticate(token: familiar, from: address)
                }
                #expect(refusal?.reason == "invalid_token")
            }
        }
    }

    @Test("No credential of a device is in the database in clear, as text or as bytes (I9)")
    func deviceSecrets() async throws {
        try await System.run { one, _ in
            let token = try #require(DeviceToken(bytes: try randomBytes(count: 32)))
            let claim = PairingClaim(
                channel: try #require(ChannelID("zoo")), senderID: try #require(SenderID("phone-1")),
                credential: .token(token))
            let peer = try TestPeer.make()
            guard
                case .pending(let ticket) = try await one.sessions.requestPairing(
                    claim, from: peer, on: try one.socket())
            else {
                Issue.record("expected to wait")
                return
            }
            try await one.approve(ticket)
            let tables = try await one.pool.query(
                """
                SELECT string_agg(query_to_xml('SELECT * FROM ' || quote_ident(table_name), true, false, '')::text,
                    '') AS everything
                FROM information_schema.tables WHERE table_schema = 'public'
                """)
            let everything = try #require(tables.first).text("everything")
            #expect(everything.contains("phone-1"))
            let hexadecimal = token.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let base64 = token.text.replacing("-", with: "+").replacing("_", with: "/")
            for spelling in [token.text, base64, hexadecimal, hexadecimal.uppercased()] {
                #expect(!everything.contains(spelling))
            }
        }
    }

    @Test("The pages of a listing are complete, and an invented page is refused")
    func cursors() async throws {
        try await System.run { one, _ in
            for index in 0..<7 { _ = try await one.pair("tablet-\(index)") }
            let administration = one.kernel.administration
            var seen: [String] = []
            var cursor: String?
            repeat {
                let page = try await administration.pairedDevices(
                    filter: "", after: cursor, limit: 3, by: System.admin)
                seen += page.rows.map(\.device.senderID.text)
                cursor = page.next
            } while cursor != nil
            #expect(seen == (0..<7).reversed().map { "tablet-\($0)" })
            let whole = try await administration.pairedDevices(
                filter: "TABLET", after: nil, limit: 7, by: System.admin)
            #expect(whole.next == nil)
            for cursor in [
                "", "_", "1", "x_y", "1_2", "..", "0.MQ.x", "3.MQ.0193f0c2-7a5b-4def-8a90-abcdef012345",
                "0.AA.0193f0c2-7a5b-4def-8a90-abcdef012345", "0.!.0193f0c2-7a5b-4def-8a90-abcdef012345",
            ] {
                let refusal = await refusal {
                    try await administration.pairedDevices(
                        filter: "", after: cursor, limit: 3, by: System.admin)
                }
                #expect(refusal?.reason == "invalid_cursor", "\(cursor)")
            }
            for cursor in ["9223372036854775807", "-9223372036854775808"] {
                let page = await refusal {
                    try await administration.pairedDevices(
                        filter: "",
                        after: "0.\(Base64URL.encode(cursor.utf8)).0193f0c2-7a5b-4def-8a90-abcdef012345",
                        limit: 3,
                        by: System.admin)
                }
                #expect(page?.reason == "invalid_cursor", "\(String(describing: page))")
            }
        }
    }
}
