import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import PairingCore

/// Opens WebSockets (RFC 6455) as a client, with at most one message of 1 MiB in memory.
package struct WebSocketDialer {
    /// An open socket: whole messages in, masked frames out.
    package typealias Socket = NIOAsyncChannel<WebSocketFrame, WebSocketFrame>

    /// The greatest frame and the greatest message that are accepted, in bytes.
    package static let maximumMessage = 1 << 20
    /// How long the TCP handshake may take.
    package static let connectTime = TimeAmount.seconds(10)

    /// The server answered the upgrade with something else.
    package struct Refused: Error {
        /// The HTTP status.
        package var status: HTTPResponseStatus
        /// `Retry-After`, where it is a number of seconds.
        package var retryAfter: Duration?
    }

    private typealias Response = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private enum Upgrade: Sendable {
        case done(Socket)
        case refused(Response)
    }

    package let address: DeviceAddress

    /// Dials.
    ///
    /// - Throws: ``Refused``, or an error of the network.
    package func dial() async throws -> Socket {
        let upgraded: EventLoopFuture<Upgrade> = try await ClientBootstrap(
            group: .singletonMultiThreadedEventLoopGroup
        )
        .connectTimeout(Self.connectTime)
        .connect(host: address.host, port: address.port) { channel in
            channel.eventLoop.makeCompletedFuture { try upgrade(channel) }
        }
        switch try await upgraded.get() {
        case .done(let socket): return socket
        case .refused(let response): throw try await Self.refusal(response)
        }
    }

    private func upgrade(_ channel: any NIOCore.Channel) throws -> EventLoopFuture<Upgrade> {
        let upgrader = NIOTypedWebSocketClientUpgrader<Upgrade>(maxFrameSize: Self.maximumMessage) {
            channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    NIOWebSocketFrameAggregator(
                        minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 1024,
                        maxAccumulatedFrameSize: Self.maximumMessage))
                return Upgrade.done(try Socket(wrappingChannelSynchronously: channel))
            }
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: address.path, headers: ["Host": address.origin.authority])
        let configuration = NIOTypedHTTPClientUpgradeConfiguration(
            upgradeRequestHead: head, upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                channel.eventLoop.makeCompletedFuture {
                    Upgrade.refused(try Response(wrappingChannelSynchronously: channel))
                }
            })
        return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: .init(upgradeConfiguration: configuration))
    }

    private static func refusal(_ response: Response) async throws -> Refused {
        try await response.executeThenClose { parts, _ in
            for try await case .head(let head) in parts {
                let seconds = head.headers.first(name: "Retry-After").flatMap { Int64($0) }
                return Refused(
                    status: head.status,
                    retryAfter: seconds.map { .seconds(min(max($0, 0), 86400)) })
            }
            throw ChannelError.eof
        }
    }
}

extension WebSocketDialer.Refused {
    /// What the status means here.
    package var sentence: String {
        let answer = "the server answered \(status.code) \(status.reasonPhrase) instead of upgrading"
        return switch status.code {
        case 403: answer + "; gateway.public_origins does not allow it"
        case 301, 302, 303, 307, 308, 404, 405, 426:
            answer + "; the address has to lead to its WebSocket, whose path is /ws on a default installation"
        case 421: answer + "; its gateway.public_origins does not name this host"
        case 429, 502, 503: answer + "; it is busy or starting"
        default: answer
        }
    }
}

extension DeviceAddress {
    /// Why nobody could be reached there.
    package func sentence(for error: any Error) -> String {
        let place = "\(host) port \(port)"
        switch error {
        case let error as NIOConnectionError:
            if let unknown = error.dnsAError ?? error.dnsAAAAError, error.connectionErrors.isEmpty {
                let isUnknown = unknown is SocketAddressError.UnknownHost
                return "\(host) cannot be found" + (isUnknown ? "; check the name" : ": \(unknown)")
            }
            let reasons = error.connectionErrors.map { failure in
                (failure.error as? IOError).map { String(cString: strerror($0.errnoCode)) }
                    ?? String(describing: failure.error)
            }
            return "\(place) cannot be reached: \(Set(reasons).sorted().joined(separator: ", "))"
        case is ChannelError: return "\(place) closed the connection before it was a WebSocket"
        default: return "\(place) cannot be reached: \(error)"
        }
    }
}
