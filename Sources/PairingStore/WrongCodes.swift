import PairingCore
import Postgres

/// How many wrong codes somebody, and a request, may be sent.
private enum WrongCodes {
    /// In ``actorWindow``.
    static let perActor = 5
    static let actorWindow = Duration.seconds(60)
    /// In ``requestWindow``, which is longer than a request waits.
    static let perRequest = 10
    static let requestWindow = Duration.seconds(86400)

    static func subject(of actor: Actor) -> String { "code:\(actor.kind):\(actor.name)" }
    static func subject(of id: RequestID) -> String { "code:request:\(id.text)" }
}

extension Transaction {
    /// Why no further code is looked at; `nil` where one is.
    func tooManyWrongCodes(for id: RequestID, by actor: Actor) throws -> Refusal? {
        if try waitingTime(
            of: WrongCodes.subject(of: id), most: WrongCodes.perRequest, in: WrongCodes.requestWindow) != nil
        {
            return Refusal(.tooManyWrongCodes)
        }
        let wait = try waitingTime(
            of: WrongCodes.subject(of: actor), most: WrongCodes.perActor, in: WrongCodes.actorWindow)
        guard let wait else { return nil }
        return Refusal(.tooManyWrongCodesOfOne, retryAfter: wait)
    }

    /// Counts a wrong code, and records that it was sent; not the code.
    func recordWrongCode(for id: RequestID, of senderID: SenderID?, by origination: Origination) throws {
        _ = try countFailure(
            of: WrongCodes.subject(of: id), most: WrongCodes.perRequest, in: WrongCodes.requestWindow)
        _ = try countFailure(
            of: WrongCodes.subject(of: origination.actor), most: WrongCodes.perActor,
            in: WrongCodes.actorWindow)
        try record(.pairingCodeRefused, senderID: senderID, by: origination, requestID: id)
    }

    /// How long until a further failure counts in a new window, where there were `most` in this one.
    private func waitingTime(of subject: String, most: Int, in window: Duration) throws -> Duration? {
        let row = try query(
            """
            SELECT window_started_at, clock_timestamp() AS now FROM sign_in_failures
            WHERE subject = $1 AND failures >= $2
                AND window_started_at >= clock_timestamp() - $3 * interval '1 millisecond'
            """, [.text(subject), .int(most), .int64(window.milliseconds)]
        ).first
        guard let row else { return nil }
        return max(try row.moment("window_started_at") + window - row.moment("now"), .seconds(1))
    }
}
