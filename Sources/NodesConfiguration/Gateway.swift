import PairingCore

extension NodesConfiguration {
    /// The devices' side: origins, pairing rules, and the sockets and limits of `nodes-gateway`.
    public struct Gateway: Sendable {
        /// The origins people and devices dial; at least one for a server.
        public let publicOrigins: [Origin]
        /// The origins of apps, which may open sockets and do nothing else.
        public let deviceOrigins: [DeviceOrigin]
        /// The unix socket `nodes-gateway` listens on.
        public let socket: String
        /// How long a pairing request lives.
        public let pairingCodeTTL: Duration
        /// How long a denied credential or address waits before it may claim the same sender ID again.
        public let pairingCooldown: Duration
        /// How long an instance may go without confirming its sessions with the database (I3).
        public let authorityLease: Duration
        /// How far a proof's `signedAt` may be from the server's clock.
        public let proofWindow: Duration
        /// The most live requests of one address (IPv6: of one /64).
        public let requestsPerAddress: Int
        /// The most live requests in all.
        public let requestsTotal: Int
        /// The greatest message before `connect`, in bytes.
        public let maximumMessageBeforeConnect: Int
        /// The greatest message after `connect`, in bytes.
        public let maximumMessage: Int
        /// The greatest metadata of a request, in bytes.
        public let maximumMetadata: Int
        /// How long a socket may wait with its first `connect` or `device.pair.request`.
        public let firstRequestTimeout: Duration
        /// The time between pings.
        public let pingInterval: Duration
        /// A socket silent for this long is closed.
        public let silenceTimeout: Duration
        /// The most sockets of one instance.
        public let sockets: Int
        /// The most sockets of one instance that no device or administrator has authenticated.
        public let unauthenticatedSockets: Int
        /// The most unauthenticated sockets of one address.
        public let unauthenticatedSocketsPerAddress: Int
        /// The most sockets of one network block that wait for a decision.
        public let waitingSocketsPerBlock: Int
        /// Frames a second that one socket may send in the long run.
        public let framesPerSecond: Int
        /// Frames one socket may send at once after a silence.
        public let framesBurst: Int
        /// The most requests of one socket that are worked on at once.
        public let windowRequests: Int
        /// The most bytes of these.
        public let windowBytes: Int
        /// Signature checks a second of one instance.
        public let signaturesPerSecond: Int
        /// The most bytes queued for one socket.
        public let outboundQueueBytes: Int
        /// The most messages queued for one socket.
        public let outboundQueueMessages: Int
        /// The dialects that are served.
        public let dialects: Set<DialectName>
        /// After what silence a socket at `/ws` is challenged as OpenClaw's clients expect; zero: never.
        public let lateChallenge: Duration
        /// The most HTTP requests of one device that are under way on one instance.
        public let httpRequestsPerDevice: Int
        /// The greatest body of an HTTP request, in bytes.
        public let maximumHTTPBody: Int
        /// How long an HTTP request waits for its answer.
        public let answerTimeout: Duration
        /// The most pages that follow events on one instance.
        public let eventStreams: Int
        /// Of these, of one account.
        public let eventStreamsPerAccount: Int
        /// The time over which a stopping instance closes its sockets.
        public let shutdownSpread: Duration

        init(_ reader: inout SettingReader, _ program: Program) {
            publicOrigins = reader.list(
                "gateway.public_origins", form: "list of origins",
                expected:
                    "http or https, a host and perhaps a port and no path, such as https://nodes.example.org; an "
                    + "app's own origin belongs in gateway.device_origins",
                isRequired: program == .server,
                "The origins that people and devices dial. They alone decide which `Origin` may post, which `Host` "
                    + "is served, and whether cookies are `Secure`."
            ) { Origin($0) }
            deviceOrigins = reader.list(
                "gateway.device_origins", form: "list of origins",
                expected: "an app's origin, such as capacitor://localhost or https://app.example.org",
                isRequired: false,
                "The origins of apps whose pages are not this server's, such as `capacitor://localhost`. They may "
                    + "open WebSockets and do nothing else."
            ) { DeviceOrigin($0) }
            socket = reader.path(
                "gateway.socket", default: "/run/goclaw-nodes/gateway.sock", maximumBytes: 107,
                "The unix socket that `nodes-gateway` listens on.")
            pairingCodeTTL = reader.duration(
                "gateway.pairing_code_ttl", default: "60m", in: .seconds(10) ... .seconds(86400),
                "How long a pairing request lives; repeating it never extends it.")
            pairingCooldown = reader.duration(
                "gateway.pairing_cooldown", default: "10m", in: .zero ... .seconds(86400),
                "How long a denied credential or address waits before it may claim that sender ID again.")
            authorityLease = reader.duration(
                "gateway.authority_lease", default: "10s", in: .seconds(2) ... .seconds(60),
                "An instance that could not confirm its sessions with the database for this long accepts and "
                    + "delivers nothing.")
            proofWindow = reader.duration(
                "gateway.proof_window", default: "120s", in: .seconds(5) ... .seconds(600),
                "How far a proof's `signedAt` may be from the server's clock.")
            requestsPerAddress = reader.count(
                "gateway.requests_per_address", default: 5, in: 1...1000,
                "The most live pairing requests of one address (IPv6: of one /64).")
            requestsTotal = reader.count(
                "gateway.requests_total", default: 1000, in: 1...100_000,
                "The most live pairing requests in all.")
            maximumMessageBeforeConnect = reader.size(
                "gateway.maximum_message_before_connect", default: "64KiB", in: 1 << 10...1 << 20,
                "The greatest message before `connect`, fragments counted.")
            maximumMessage = reader.size(
                // A message of 512 KiB, the most that is accepted, and the frame around it.
                "gateway.maximum_message", default: "512KiB", in: 1 << 10...576 << 10,
                "The greatest message after `connect`, fragments counted.")
            maximumMetadata = reader.size(
                // The greatest that plugins are promised.
                "gateway.maximum_metadata", default: "16KiB", in: 256...16 << 10,
                "The greatest metadata of a pairing request.")
            firstRequestTimeout = reader.duration(
                "gateway.first_request_timeout", default: "15s", in: .seconds(1) ... .seconds(300),
                "How long a socket may wait with its first `connect` or `device.pair.request`.")
            pingInterval = reader.duration(
                "gateway.ping_interval", default: "30s", in: .milliseconds(100) ... .seconds(300),
                "The time between pings.")
            silenceTimeout = reader.duration(
                "gateway.silence_timeout", default: "75s", in: .milliseconds(200) ... .seconds(900),
                "A socket silent for this long is closed. nginx's time-outs must be longer.")
            sockets = reader.count(
                "gateway.sockets", default: 16_000, in: 10...1_000_000, "The most sockets of one instance.")
            unauthenticatedSockets = reader.count(
                "gateway.unauthenticated_sockets", default: 2000, in: 1...1_000_000,
                "The most sockets of one instance that nobody has authenticated; room beyond them is "
                    + "reserved for paired devices. When it is full, a network block (/24, or /48 for IPv6) that "
                    + "holds less of it displaces the newest of the one that holds most.")
            unauthenticatedSocketsPerAddress = reader.count(
                "gateway.unauthenticated_sockets_per_address", default: 200, in: 1...1_000_000,
                "The most unauthenticated sockets of one address (IPv6: of one /64).")
            waitingSocketsPerBlock = reader.count(
                "gateway.waiting_sockets_per_block", default: 100, in: 1...1_000_000,
                "The most sockets of one network block (/24, or /48 for IPv6) that wait for a decision on a "
                    + "pairing request; each request has one on an instance.")
            framesPerSecond = reader.count(
                "gateway.frames_per_second", default: 20, in: 1...10_000,
                "Frames a second that one socket may send in the long run.")
            framesBurst = reader.count(
                "gateway.frames_burst", default: 60, in: 1...100_000,
                "Frames one socket may send at once after a silence.")
            windowRequests = reader.count(
                "gateway.window_requests", default: 64, in: 1...1024,
                "Requests of one socket that are worked on at once; it is not read on before one of them is answered."
            )
            windowBytes = reader.size(
                "gateway.window_bytes", default: "1MiB", in: 64 << 10...64 << 20,
                "The most bytes of these, as they came; one request more is read than fits.")
            signaturesPerSecond = reader.count(
                "gateway.signatures_per_second", default: 2000, in: 1...100_000,
                "Signature checks a second of one instance.")
            outboundQueueBytes = reader.size(
                "gateway.outbound_queue_bytes", default: "1MiB", in: 64 << 10...64 << 20,
                "The most bytes queued for one socket; one that overflows is closed.")
            outboundQueueMessages = reader.count(
                "gateway.outbound_queue_messages", default: 256, in: 8...65_536,
                "The most messages queued for one socket; one that overflows is closed.")
            let served = reader.list(
                "gateway.dialects",
                form: "list of \(DialectName.allCases.map(\.rawValue).joined(separator: ", "))",
                expected: "one of \(DialectName.allCases.map(\.rawValue).joined(separator: ", "))",
                isRequired: false,
                "The dialects that are served on WebSockets: this server's own and GoClaw's at `/ws`, where the first frame "
                    + "tells them apart, and OpenClaw's at `/`, `/gateway` and `/__openclaw__/gateway`. All where none is "
                    + "named."
            ) { DialectName(rawValue: $0.lowercased()) }
            dialects = served.isEmpty ? Set(DialectName.allCases) : Set(served)
            lateChallenge = reader.duration(
                // Some of OpenClaw's clients give up after 2 s.
                "gateway.late_challenge", default: "0s", in: .zero ... .milliseconds(1500),
                "After what silence a client at `/ws` is sent the challenge that OpenClaw's clients wait for, such as "
                    + "`800ms`, so that these may dial `/ws` as well; `0s`: never. A client of GoClaw's on a link that is "
                    + "slower than this reads the challenge in place of its first answer."
            )
            httpRequestsPerDevice = reader.count(
                "gateway.http_requests_per_device", default: 8, in: 1...1000,
                "The most HTTP requests of one device (`/v1/…`) that are under way on one instance.")
            maximumHTTPBody = reader.size(
                "gateway.maximum_http_body", default: "1MiB", in: 1 << 10...64 << 20,
                "The greatest body of an HTTP request of a device; nginx's `client_max_body_size` must not be less."
            )
            answerTimeout = reader.duration(
                "gateway.answer_timeout", default: "5m", in: .seconds(1) ... .seconds(3600),
                "How long an HTTP request of a device waits for its agent's answer. nginx's `proxy_read_timeout` must be "
                    + "longer.")
            eventStreams = reader.count(
                "gateway.event_streams", default: 2000, in: 1...100_000,
                "The most pages that follow events on one instance.")
            eventStreamsPerAccount = reader.count(
                "gateway.event_streams_per_account", default: 50, in: 1...100_000,
                "Of these, the most of one account.")
            shutdownSpread = reader.duration(
                "gateway.shutdown_spread", default: "5s", in: .zero ... .seconds(60),
                "The time over which a stopping instance closes its sockets, so that devices do not all "
                    + "come back at once.")
            check(&reader)
        }

        private func check(_ reader: inout SettingReader) {
            if silenceTimeout < pingInterval * 2 {
                reader.problem(
                    "gateway.silence_timeout (\(Quantities.text(silenceTimeout))) must be at least twice "
                        + "gateway.ping_interval (\(Quantities.text(pingInterval))), or one late answer to a ping closes a "
                        + "healthy socket")
            }
            if maximumMessage < maximumMessageBeforeConnect {
                reader.problem(
                    "gateway.maximum_message (\(Quantities.text(bytes: maximumMessage))) must not be less than "
                        + "gateway.maximum_message_before_connect (\(Quantities.text(bytes: maximumMessageBeforeConnect)))"
                )
            }
            if maximumMetadata > maximumMessageBeforeConnect {
                reader.problem(
                    "gateway.maximum_metadata (\(Quantities.text(bytes: maximumMetadata))) must not be more than "
                        + "gateway.maximum_message_before_connect (\(Quantities.text(bytes: maximumMessageBeforeConnect)))"
                )
            }
            if outboundQueueBytes < maximumMessage {
                reader.problem(
                    "gateway.outbound_queue_bytes (\(Quantities.text(bytes: outboundQueueBytes))) must not be less than "
                        + "gateway.maximum_message (\(Quantities.text(bytes: maximumMessage))), or the greatest message can "
                        + "never be delivered")
            }
            if unauthenticatedSockets >= sockets {
                reader.problem(
                    "gateway.unauthenticated_sockets (\(unauthenticatedSockets)) must be less than gateway.sockets (\(sockets)), "
                        + "so that paired devices keep room of their own")
            }
            if requestsPerAddress > requestsTotal {
                reader.problem(
                    "gateway.requests_per_address (\(requestsPerAddress)) must not be more than gateway.requests_total "
                        + "(\(requestsTotal))")
            }
        }
    }
}
