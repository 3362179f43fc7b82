import PairingCore
import Testing

@testable import PairingKernel

@Suite("What the page of requests and devices shows, in one round trip")
struct OverviewTests {
    @Test("It is what the separate questions answer, and nothing without a session")
    func sameAsSeparately() async throws {
        try await System.run { one, _ in
            _ = try await one.pair("tablet-01")
            let waiting = try TestDevice("tablet-02")
            _ = try await one.ask(waiting, on: try one.socket())
            let administration = one.kernel.administration
            try await one.kernel.accounts.create(
                username: "maria", password: "correct horse battery", by: System.admin)
            let signIn = try await one.kernel.accounts.signIn(
                username: "maria", password: "correct horse battery",
                address: try #require(ClientAddress("192.0.2.1")), browser: nil)

            func overview(_ secret: String, filter: String = "", after: String? = nil) async throws
                -> (session: AdminSession, overview: NodesOverview)?
            {
                try await one.kernel.overview(
                    secret: secret, renews: true, filter: DeviceFilter(text: filter), requestsAfter: after,
                    devicesAfter: nil,
                    limit: 25)
            }
            let (session, shown) = try #require(try await overview(signIn.sessionSecret))
            #expect(session.username == "maria")
            let requests = try await administration.pendingRequests(
                filter: "", after: nil, limit: 25, by: session.authority)
            let devices = try await administration.pairedDevices(
                filter: "", after: nil, limit: 25, by: session.authority)
            #expect(shown.requests.rows.map(\.request) == requests.rows.map(\.request))
            #expect(shown.devices.rows.map(\.device) == devices.rows.map(\.device))
            #expect(shown.counts.pending == 1 && shown.counts.paired == 1)
            #expect(try await one.kernel.feed.newestPosition() == shown.position)
            #expect(shown.troubles == SystemTroubles())

            let filtered = try #require(try await overview(signIn.sessionSecret, filter: "tablet-02"))
            #expect(filtered.overview.devices.rows.isEmpty && filtered.overview.requests.rows.count == 1)
            await #expect(throws: Refusal.self) { try await overview(signIn.sessionSecret, after: "x") }

            // Whoever has no session is told nothing, not even what is wrong with a question.
            let other = try one.kernel.accounts.makeBrowserSecret()
            #expect(try await overview(other, after: "x") == nil)
            try await one.kernel.accounts.signOut(secret: signIn.sessionSecret)
            #expect(try await overview(signIn.sessionSecret) == nil)
        }
    }

    @Test("A rival of a waiting device is shown with it")
    func rivals() async throws {
        try await System.run { one, _ in
            let waiting = try TestDevice("tablet-01")
            _ = try await one.ask(waiting, on: try one.socket())
            let rival = try TestDevice("tablet-01")
            _ = try? await one.ask(rival, on: try one.socket())
            try await one.kernel.accounts.create(
                username: "maria", password: "correct horse battery", by: System.admin)
            let signIn = try await one.kernel.accounts.signIn(
                username: "maria", password: "correct horse battery",
                address: try #require(ClientAddress("192.0.2.1")), browser: nil)
            let found = try #require(
                try await one.kernel.overview(
                    secret: signIn.sessionSecret, renews: false, filter: DeviceFilter(), requestsAfter: nil,
                    devicesAfter: nil, limit: 25))
            let row = try #require(found.overview.requests.rows.first)
            #expect(row.rivals.count == 1 && row.rivals.first?.attempts == 1)
            let separately = try await one.kernel.administration.request(row.request.id, by: System.admin)
            #expect(separately.rivals == row.rivals)
        }
    }
}
