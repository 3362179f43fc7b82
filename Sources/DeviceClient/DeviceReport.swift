import PairingCore

/// How a device's run ended.
package enum DeviceOutcome: Equatable, Sendable {
    /// It was asked to end.
    case quit
    /// An administrator revoked the pairing.
    case revoked
    /// Another connection of the same device took over.
    case replaced
    /// An administrator denied the request.
    case denied
    /// The server refused for good.
    case refused(PeerError)
    /// This program could not go on.
    case failed(String)
}

/// What a device tells whoever watches it.
package enum DeviceReport: Equatable, Sendable {
    /// Why a connection ended or never came to be.
    package enum Loss: Equatable, Sendable {
        case dialFailed(reason: String)
        case closed(code: UInt16?, reason: String)
        /// An answer or any sign of life took too long.
        case unanswered
        /// The server sent something that is not the protocol.
        case unreadable
        /// The server refused for now.
        case refused
    }

    case waiting(DeviceTicket)
    case resolved(decision: String)
    case connected(sessionID: String, instanceID: String)
    case disconnected(Loss, retryIn: Duration)
    case serverStopping
    case refused(PeerError)
    case message(number: Int64, agent: String, message: JSONValue)
    /// An event of the device's channel.
    case event(name: String, payload: JSONValue)
    case accepted(id: String, number: Int64)
    case notAccepted(id: String, PeerError)
    /// The pairing was revoked and the device asks for another.
    case repairing
    case stopped(DeviceOutcome)
}
