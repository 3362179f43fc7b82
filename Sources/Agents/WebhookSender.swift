import Dispatch
import Glibc
import NIOCore
import NIOHTTP1
import PairingCore

/// Sends web hooks to addresses that people typed, and to those only that this software may reach.
package struct WebhookSender: Sendable {
    /// What the configuration decides.
    package struct Rules: Sendable {
        /// Which addresses may be reached.
        package var addresses: ReachableAddresses
        /// Whether `http` will do.
        package var allowsPlain: Bool
        /// How long one delivery may take, from the question for the host's address to the answer's status.
        package var timeout: Duration

        /// Wraps the parts.
        package init(addresses: ReachableAddresses, allowsPlain: Bool, timeout: Duration) {
            self.addresses = addresses
            self.allowsPlain = allowsPlain
            self.timeout = timeout
        }
    }

    /// What came of a delivery.
    package enum Outcome: Sendable, Equatable {
        /// It was taken: any status from 200 to 299.
        case delivered
        /// The receiver wants none any more: status 410.
        case gone
        /// It was not taken: why, in one sentence without secrets, and when the receiver asks to be tried again.
        case failed(String, retryAfter: Duration?)
    }

    /// What there is to send.
    package struct Delivery: Sendable, Equatable {
        /// The same for every repeat; without dots.
        package var id: String
        /// JSON text.
        package var body: String
        /// Each signs.
        package var secrets: [[UInt8]]

        /// Wraps the parts.
        package init(id: String, body: String, secrets: [[UInt8]]) {
            self.id = id
            self.body = body
            self.secrets = secrets
        }
    }

    private let rules: Rules
    private let clock: WallClock

    /// - Parameter clock: for the time that is signed.
    package init(rules: Rules, clock: @escaping WallClock) {
        self.rules = rules
        self.clock = clock
    }

    /// How long one delivery may take.
    package var timeout: Duration { rules.timeout }

    /// What speaks against an address, as far as that can be said without asking for it; `nil` where nothing does.
    package func objection(to address: WebhookAddress) -> String? {
        if address.isPlain, !rules.allowsPlain {
            return
                "Expected https: over http, anybody on the way reads what happens and whose devices there are. "
                + "Where that is no matter, webhooks.allow_http allows it."
        }
        guard let literal = address.literal, !rules.addresses.allows(literal, isOwn: Self.isOwn(literal))
        else {
            return nil
        }
        return Self.refusal(of: literal)
    }

    /// Asks where the host is, once, and connects to nothing but what was found and may be reached: another answer
    /// later changes nothing.
    ///
    /// - Throws: a failure with one sentence.
    package func route(to address: WebhookAddress) async throws(AgentFailure) -> WebhookRoute {
        if let objection = objection(to: address) { throw AgentFailure(.refused, objection) }
        if address.literal != nil {
            return WebhookRoute(address: address, http: AgentHTTP(), timeout: rules.timeout, clock: clock)
        }
        let found = await Self.addresses(of: address.host, within: rules.timeout)
        guard let found else {
            throw AgentFailure(.timedOut, "The name \(address.host) was not found in time.")
        }
        guard let first = found.first else {
            throw AgentFailure(.unreachable, "There is no host of the name \(address.host).")
        }
        // One that leads inside is reason to refuse them all: whoever answers so may mean to.
        if let inside = found.first(where: { !rules.addresses.allows($0, isOwn: Self.isOwn($0)) }) {
            throw AgentFailure(.refused, Self.refusal(of: inside))
        }
        let chosen = found.first { $0.bytes.count == 4 } ?? first
        return WebhookRoute(
            address: address, http: AgentHTTP(resolving: [address.host: chosen.description]),
            timeout: rules.timeout, clock: clock)
    }

    private static func refusal(of address: ClientAddress) -> String {
        "\(address) is an address of this machine or of a private network. Where it is meant, "
            + "webhooks.allowed_networks allows it."
    }

    /// Every address that the name has; `nil` where that takes too long.
    private static func addresses(of host: String, within time: Duration) async -> [ClientAddress]? {
        let (answers, answer) = AsyncStream.makeStream(of: [ClientAddress]?.self)
        // The resolver blocks its thread, which no cooperative one may.
        DispatchQueue.global().async { answer.yield(resolve(host)) }
        // The resolver has no time limit of its own: whichever comes first counts.
        let late = Task {
            try? await Task.sleep(for: time)
            answer.yield(nil)
        }
        defer { late.cancel() }
        for await found in answers { return found }
        return nil
    }

    private static func resolve(_ host: String) -> [ClientAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [ClientAddress] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ai_addr.flatMap({ text(of: $0, length: entry.pointee.ai_addrlen) }
            ),
                !found.contains(address)
            {
                found.append(address)
            }
            next = entry.pointee.ai_next
        }
        return found
    }

    /// Whether one of this machine's interfaces has the address.
    private static func isOwn(_ address: ClientAddress) -> Bool {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return false }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next {
            if let socket = entry.pointee.ifa_addr {
                let isSixth = socket.pointee.sa_family == sa_family_t(AF_INET6)
                let length = isSixth ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
                if isSixth || socket.pointee.sa_family == sa_family_t(AF_INET),
                    text(of: socket, length: socklen_t(length)) == address
                {
                    return true
                }
            }
            next = entry.pointee.ifa_next
        }
        return false
    }

    private static func text(
        of address: UnsafePointer<sockaddr>, length: socklen_t
    ) -> ClientAddress? {
        var buffer = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard getnameinfo(address, length, &buffer, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST) == 0
        else {
            return nil
        }
        let bytes = buffer.prefix { $0 != 0 && $0 != CChar(UInt8(ascii: "%")) }.map { UInt8(bitPattern: $0) }
        return ClientAddress(String(decoding: bytes, as: UTF8.self))
    }
}

/// The way to one web hook's receiver, for a number of deliveries.
package final class WebhookRoute: Sendable {
    private let address: WebhookAddress
    private let http: AgentHTTP
    private let timeout: Duration
    private let clock: WallClock
    private static let mostAnswerBytes = 64 << 10

    init(address: WebhookAddress, http: AgentHTTP, timeout: Duration, clock: @escaping WallClock) {
        self.address = address
        self.http = http
        self.timeout = timeout
        self.clock = clock
    }

    /// Makes one attempt. What the answer's body says is no matter.
    package func send(_ delivery: WebhookSender.Delivery) async -> WebhookSender.Outcome {
        let headers = HTTPHeaders(
            StandardWebhook.headers(
                for: delivery.body, id: delivery.id, at: clock(), secrets: delivery.secrets))
        do throws(AgentFailure) {
            try await http.post(
                delivery.body, to: address.text, headers: headers,
                times: AgentTimes(whole: timeout, silence: timeout), complaint: { _ in nil }
            ) { _, body, settle in
                settle(())
                // Read to its end, the connection is used again.
                var count = 0
                for try await buffer in body {
                    count += buffer.readableBytes
                    if count > Self.mostAnswerBytes { break }
                }
            }
            return .delivered
        } catch {
            if error.status == 410 { return .gone }
            return .failed(error.message, retryAfter: error.retryAfter)
        }
    }

    /// Ends its connections.
    package func close() async { try? await http.shutdown() }
}
