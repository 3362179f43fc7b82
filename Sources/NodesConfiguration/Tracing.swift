import PairingCore

extension NodesConfiguration {
    /// Who is told what requests lead to, and of how many.
    public struct Tracing: Sendable {
        /// Where the collector is; `nil` for none.
        public let endpoint: String?
        /// How many of a hundred requests are recorded.
        public let sampledPercent: Int
        /// The most traces that begin in a second in one process.
        public let tracesPerSecond: Int

        init(_ reader: inout SettingReader) {
            let text = reader.text(
                "tracing.otlp_endpoint", default: "",
                "Where a collector takes traces by OTLP/HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added. "
                    + "Empty: nothing is recorded.")
            endpoint = text.isEmpty ? nil : text
            if !text.isEmpty, !Self.isAddress(text) {
                reader.problem(
                    "tracing.otlp_endpoint: “\(text)” is refused; expected an http or https address without a question "
                        + "mark, such as http://127.0.0.1:4318")
            }
            sampledPercent = reader.count(
                "tracing.sampled_percent", default: 1, in: 0...100,
                "How many of a hundred requests are recorded. One that comes with a `traceparent` whose sender records "
                    + "it is recorded too.")
            tracesPerSecond = reader.count(
                "tracing.traces_per_second", default: 10, in: 1...100_000,
                "The most traces that begin in a second in one process, whoever asks for them.")
        }

        private static func isAddress(_ text: String) -> Bool {
            for scheme in ["http://", "https://"] where text.hasPrefix(scheme) {
                let rest = text.dropFirst(scheme.count)
                return !rest.isEmpty && !rest.hasPrefix("/")
                    && rest.utf8.allSatisfy { (33...126).contains($0) && $0 != UInt8(ascii: "?") }
            }
            return false
        }
    }
}
