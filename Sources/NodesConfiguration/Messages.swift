import PairingCore

extension NodesConfiguration {
    /// What becomes of messages.
    public struct Messages: Sendable {
        /// How long a message is kept after its end.
        public let retention: Duration
        /// How often a channel may fail to deliver a message.
        public let deliveryAttempts: Int
        /// How long a message waits at most for others that go to an agent with it.
        public let batchWait: Duration
        /// Whether administrators may look at the text of devices' messages.
        public let showsText: Bool

        init(_ reader: inout SettingReader) {
            retention = reader.duration(
                "messages.retention", default: "7d", in: .seconds(3600) ... .seconds(400 * 86400),
                "How long a message is kept after its end: acknowledged, answered, or ended without either.")
            deliveryAttempts = reader.count(
                "messages.delivery_attempts", default: 5, in: 1...100,
                "How often a channel may fail to deliver a message before the message ends as `undeliverable`."
            )
            batchWait = reader.duration(
                "messages.batch_wait", default: "60s", in: .zero ... .seconds(86400),
                "How long a message waits at most to be handed to an agent together with others, where its channel "
                    + "declares batches (`iot` does). `0s`: agents get each by itself.")
            showsText = reader.flag(
                "messages.show_text", default: false,
                "Whether a device's page lets administrators read what it and its agents said. Every such look is an event."
            )
        }
    }
}
