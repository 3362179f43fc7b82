import PairingCore

extension Refusal {
    static let notConnected = Refusal(.notConnected)

    static let stillPending = Refusal(.pending)

    static let notADevice = Refusal(.notADevice)

    static let administratorNeeded = Refusal(.administratorNeeded)

    static let notAnAdministrator = Refusal(.notAnAdministrator)

    static let oneRequestASocket = Refusal(.oneRequestASocket)
}
