import NIOCore
import NIOHTTP1
import PairingCore

/// An agent that is sent each message as a web hook (Standard Webhooks 1.0.0) and answers with its response, or later.
package struct WebhookAgent: Agent {
    /// The greatest answer, in bytes.
    static let maximumAnswerBytes = 256 << 10

    /// How it is reached.
    package struct Settings: Sendable {
        /// Where messages are posted.
        package var url: String
        /// What signs them: 24 to 64 bytes, shared with the agent; never logged.
        package var secret: [UInt8]
        /// How long an answer may take.
        package var times = AgentTimes(whole: .seconds(120), silence: .seconds(60))

        /// Wraps the two.
        package init(url: String, secret: [UInt8]) {
            self.url = url
            self.secret = secret
        }
    }

    package let name: String
    package var hearsNotices: Bool { true }
    private let settings: Settings
    private let http: AgentHTTP
    private let clock: WallClock

    /// - Parameter clock: for the timestamp that is signed.
    package init(name: String, settings: Settings, http: AgentHTTP, clock: @escaping WallClock) {
        self.name = name
        self.settings = settings
        self.http = http
        self.clock = clock
    }

    /// Posts the message: a JSON answer is the reply, 202 and 204 promise none.
    package func answer(
        _ request: AgentRequest, part: @escaping @Sendable (String) async -> Void
    ) async throws(AgentFailure) -> AgentAnswer {
        let now = clock()
        let body = Self.body(of: request, at: now)
        return try await http.post(
            body, to: settings.url, headers: headers(for: body, key: request.key, at: now),
            times: settings.times, complaint: { _ in nil }
        ) { status, body, _ in
            if status == .accepted || status == .noContent { return .accepted }
            var bytes: [UInt8] = []
            for try await buffer in body {
                bytes += buffer.readableBytesView
                guard bytes.count <= Self.maximumAnswerBytes else {
                    throw AgentFailure(.refused, "The answer has more than \(Self.maximumAnswerBytes) bytes.")
                }
            }
            do throws(JSONSyntaxError) {
                return .reply(try JSONValue(parsing: bytes).text)
            } catch {
                throw AgentFailure(.invalidAnswer, "The answer is not JSON: \(error).")
            }
        }
    }

    /// The hook's body: what happened, when, and to whom.
    static func body(of request: AgentRequest, at now: Timestamp) -> String {
        var members: [String: JSONValue] = [
            "channel": .string(request.channel.text), "senderId": .string(request.senderID.text),
        ]
        if !request.conversation.isMain {
            members["conversation"] = .string(request.conversation.text)
        }
        let fields = JSONValue.object(members).text.dropLast()
        // The message goes along as it is, not as a reader of ours would spell it.
        return
            #"{"data":\#(fields),"message":\#(request.body)},"timestamp":"\#(StandardWebhook.text(of: now))","#
            + #""type":"message.received"}"#
    }

    private func headers(for body: String, key: String, at now: Timestamp) -> HTTPHeaders {
        HTTPHeaders(
            StandardWebhook.headers(for: body, id: Self.identifier(key), at: now, secrets: [settings.secret]))
    }

    /// The header `webhook-id`: the key without the dots that part what is signed, and no two keys' the same, as a
    /// sender ID has no tilde.
    static func identifier(_ key: String) -> String { key.replacing(".", with: "~") }
}
