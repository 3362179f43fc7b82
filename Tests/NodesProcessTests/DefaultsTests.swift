import ChannelHost
import DeviceGateway
import FastCGI
import NodesConfiguration
import PairingCore
import PairingKernel
import Postgres
import Testing

@testable import NodesProcess
@testable import nodes_gateway

/// What a module is given where nobody says anything is what an operator reads of it.
@Suite("Defaults")
struct DefaultsTests {
    private func configuration() async throws -> NodesConfiguration {
        try await NodesConfiguration.load(
            file: nil,
            environment: [
                "DATABASE_URL": "postgresql:///nodes", "GATEWAY_PUBLIC_ORIGINS": "https://nodes.example.org",
            ], for: .server)
    }

    @Test("An operator who configures nothing gets the gateway's own defaults")
    func gateway() async throws {
        let configured = try await configuration().gateway
        let own = GatewaySettings(
            origins: OriginPolicy(configured.publicOrigins), socketPath: configured.socket)
        var read = GatewaySettings(configured)
        #expect(read.dialects == own.dialects)
        // The order in which a set describes itself says nothing.
        read.dialects = own.dialects
        #expect(String(describing: read) == String(describing: own))
    }

    @Test("… and the kernel's")
    func pairing() async throws {
        let configured = try await configuration()
        let own = PairingSettings(origins: OriginPolicy(configured.gateway.publicOrigins))
        #expect(String(describing: PairingSettings(configured)) == String(describing: own))
    }

    @Test("… and the channels'")
    func channels() async throws {
        let configured = ChannelCallLimits(try await configuration().channels)
        #expect(String(describing: configured) == String(describing: ChannelCallLimits()))
    }

    @Test("… and the database's")
    func database() async throws {
        let configured = try await configuration().database
        let own = try PostgresConfiguration(configured.url)
        #expect(configured.poolSize == own.maximumConnections)
        #expect(configured.acquireTimeout == own.acquireTimeout)
        #expect(configured.statementTimeout == own.statementTimeout)
        #expect(configured.lockTimeout == own.lockTimeout)
    }

    @Test("… and the pages'")
    func pages() async throws {
        let configured = try await configuration().kernel
        let own = FastCGIServer.Configuration()
        #expect(configured.threads == own.threads)
        #expect(configured.maximumBody == own.maximumBodyBytes)
        #expect(configured.requestTimeout == own.requestTimeout)
    }

    @Test("The greatest message that an operator can allow holds the greatest body that is accepted")
    func greatestMessage() async throws {
        let limit = try await NodesConfiguration.load(
            file: nil,
            environment: [
                "DATABASE_URL": "postgresql:///nodes", "GATEWAY_PUBLIC_ORIGINS": "https://nodes.example.org",
                "GATEWAY_MAXIMUM_MESSAGE": "576KiB",
            ], for: .server
        ).gateway.maximumMessage
        #expect(limit == DeviceSessions.maximumBodyBytes + 64 * 1024)
    }
}
