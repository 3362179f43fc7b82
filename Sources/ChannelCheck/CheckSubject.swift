/// What is checked, and what an ordinary device of the channel looks like.
public struct CheckSubject: Codable, Sendable {
    /// The library's path.
    public var library: String
    /// What `create` is given: a JSON object.
    public var configuration: String
    /// A sender ID that the channel lets pass; `nil`: some are tried.
    public var senderID: String?
    /// The metadata of a request that the channel lets pass, a JSON object; `nil`: none, or an empty one.
    public var metadata: String?
    /// A message that the channel takes from such a device, a JSON value; `nil`: some are tried.
    public var message: String?
    /// A message of an agent that the channel delivers to such a device, a JSON value; `nil`: some are tried.
    public var agentMessage: String?

    /// Names a library.
    public init(
        library: String, configuration: String = "{}", senderID: String? = nil, metadata: String? = nil,
        message: String? = nil, agentMessage: String? = nil
    ) {
        self.library = library
        self.configuration = configuration
        self.senderID = senderID
        self.metadata = metadata
        self.message = message
        self.agentMessage = agentMessage
    }
}
