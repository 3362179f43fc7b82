import PairingCore

extension Refusal {
    static let notConnected = Refusal(.notConnected)

    static let stillPending = Refusal(.pending)

    static let notADevice = Refusal(.notADevice)

    static let administratorNeeded = Refusal(.administratorNeeded)

    static let notAnAdministrator = Refusal(.notAnAdministrator)

    static func notServed(_ dialect: DialectName) -> Refusal {
        Refusal(
            .dialectNotServed,
            "This client speaks the dialect \(dialect.rawValue), which is not served here: gateway.dialects leaves it out."
        )
    }

    static let oneRequestASocket = Refusal(.oneRequestASocket)
}
