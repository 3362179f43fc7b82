import PairingCore

/// What comes of a frame that a codec has read or is to write. A codec translates; it decides nothing.
public enum DialectStep: Sendable, Equatable {
    /// Ask for this; the answer comes back under the identifier, which is the codec's own.
    case ask(id: String, DeviceRequest)
    /// Send this text.
    case send(String)
    /// Send a ping with this number; ``OpenClawDialect/ponged(_:)`` is told of its answer.
    case ping(Int64)
    /// Close the socket.
    case close(CloseCode, String)
}
