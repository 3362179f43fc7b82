import PairingCore

extension NodesConfiguration {
    /// Where web hooks may be sent, and for how long one that fails is tried.
    public struct Webhooks: Sendable {
        /// What may be reached besides the public Internet.
        public let allowedNetworks: [NetworkBlock]
        /// Whether `http` will do.
        public let allowsHTTP: Bool
        /// How long one delivery may take.
        public let timeout: Duration
        /// After how long a web hook that fails is told nothing any more.
        public let disableAfter: Duration

        init(_ reader: inout SettingReader) {
            allowedNetworks = reader.list(
                "webhooks.allowed_networks", form: "list of addresses and network blocks",
                expected: "an address or a block, such as 10.0.0.0/8", isRequired: false,
                "Where web hooks may be sent besides the public Internet: this machine, link-local and private networks "
                    + "are refused otherwise, whatever name leads there.", NetworkBlock.init)
            allowsHTTP = reader.flag(
                "webhooks.allow_http", default: false, "Whether web hooks may go to `http` addresses.")
            timeout = reader.duration(
                "webhooks.timeout", default: "10s", in: .seconds(1) ... .seconds(60),
                "How long one delivery of a web hook may take.")
            disableAfter = reader.duration(
                "webhooks.disable_after", default: "3d", in: .seconds(1) ... .seconds(30 * 86400),
                "How long a web hook may fail, without one delivery getting through, before it is disabled.")
        }
    }
}
