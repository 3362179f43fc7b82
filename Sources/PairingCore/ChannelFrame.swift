/// An event for a device, as its channel made it.
public struct ChannelFrame: Sendable, Equatable {
    /// The event's name, `[a-z][a-z0-9._]{0,63}`.
    public var event: String
    /// JSON text: an object.
    public var payload: String

    /// Wraps the two.
    public init(event: String, payload: String) {
        self.event = event
        self.payload = payload
    }
}
