import PairingCore

extension Refusal {
    static let notConnected = Refusal(
        .notPaired, "not_connected", "Messages need a session: call connect on this socket first.")

    static let stillPending = Refusal(
        .notPaired, "pending",
        "An administrator has not decided on the pairing request; wait for device.pair.resolved.")

    static let notADevice = Refusal(
        .forbidden, "not_a_device",
        "Only paired devices exchange messages; this socket is an administrator's.")

    static let administratorNeeded = Refusal(
        .unauthorized, "administrator_needed",
        "Only administrators may do this: call connect with an administrator's API token first.")

    static let notAnAdministrator = Refusal(
        .forbidden, "not_an_administrator", "Only administrators may do this; this socket is a device's.")

    static func notServed(_ dialect: DialectName) -> Refusal {
        Refusal(
            .failedPrecondition, "dialect_not_served",
            "This client speaks the dialect \(dialect.rawValue), which is not served here: gateway.dialects leaves it out."
        )
    }

    static let oneRequestASocket = Refusal(
        .failedPrecondition, "one_request_a_socket",
        "This socket waits for another pairing request; open a socket for each device.")
}
