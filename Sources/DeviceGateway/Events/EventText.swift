import PairingCore
import PairingKernel

/// What is written on `/events`: server-sent events (HTML Standard §9.2), as text.
enum EventText {
    /// Changes that are told one by one; where there are more, the page is read anew.
    static let mostChanges = 50

    /// The stream begins: where the feed is, how many requests wait, and how long to wait before coming again.
    static func ready(position: Int64, pending: Int, retryAfter: Duration) -> String {
        "retry: \(retryAfter.milliseconds)\n"
            + event("ready", ["position": .integer(position), "pending": .integer(Int64(pending))])
    }

    /// Something happened.
    static func changes(_ changes: [PairingChange], pending: Int?) -> String {
        var payload: [String: JSONValue] = [:]
        if let last = changes.last { payload["position"] = .integer(last.position) }
        if let pending { payload["pending"] = .integer(Int64(pending)) }
        if changes.count <= mostChanges {
            payload["changes"] = .array(
                changes.map { change in
                    var item: [String: JSONValue] = ["event": .string(change.event)]
                    if let channel = change.channel { item["channel"] = .string(channel) }
                    if let senderID = change.senderID { item["senderId"] = .string(senderID) }
                    if let requestID = change.requestID { item["requestId"] = .string(requestID) }
                    return .object(item)
                })
        }
        return event("change", payload)
    }

    /// Something was left out, because the reader was too slow or the database is of an earlier moment: read the page
    /// anew.
    static let missed = event("change", [:])
    /// The database cannot be asked: what is shown may be old.
    static let away = event("away", [:])
    /// It can be asked again.
    static let back = event("back", [:])
    /// Nothing more comes, because the session has ended.
    static let ended = event("ended", [:])
    /// Nothing has happened; so that a connection that is gone is noticed.
    static let heartbeat = ":\n\n"

    private static func event(_ name: String, _ payload: [String: JSONValue]) -> String {
        "event: \(name)\ndata: \(JSONValue.object(payload).text)\n\n"
    }
}
