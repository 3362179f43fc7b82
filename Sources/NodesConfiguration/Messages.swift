import PairingCore

extension NodesConfiguration {
    /// What becomes of messages.
    public struct Messages: Sendable {
        /// How long a message is kept after its end.
        public let retention: Duration
        /// How often a channel may fail to deliver a message.
        public let deliveryAttempts: Int
        /// Messages to a device that may wait for its acknowledgement.
        public let unacknowledged: Int
        /// Their bytes.
        public let unacknowledgedBytes: Int
        /// Messages from a device that may wait for an answer.
        public let unanswered: Int
        /// Their bytes.
        public let unansweredBytes: Int
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
                "How often a channel may fail to deliver a message before the message ends as `undeliverable`. A message "
                    + "that ends the process in its channel's code is tried so often once that is suspected.")
            unacknowledged = reader.count(
                "messages.unacknowledged", default: 1000, in: 16...100_000,
                "Messages that may wait for a device's acknowledgement; then no more are accepted from it or pushed to "
                    + "it.")
            unacknowledgedBytes = reader.size(
                "messages.unacknowledged_bytes", default: "8MiB", in: 1 << 20...1 << 30,
                "The bytes of these; one message always fits.")
            unanswered = reader.count(
                "messages.unanswered", default: 1000, in: 16...100_000,
                "Messages of a device that may wait for an answer; then no more are accepted from it. Where answers "
                    + "exceed `messages.unacknowledged` by more than this, the oldest that wait end as `overflowed`."
            )
            unansweredBytes = reader.size(
                "messages.unanswered_bytes", default: "8MiB", in: 1 << 20...1 << 30,
                "The bytes of these, with what the channel made of them; one message always fits. The same for answers "
                    + "beyond `messages.unacknowledged_bytes`.")
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
