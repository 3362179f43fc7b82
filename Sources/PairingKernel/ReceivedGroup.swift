import ChannelHost
import PairingCore
import PairingStore

/// The numbers of messages that one session sent together, as their channel is to be told them: a pure machine.
///
/// Seldom does somebody else take a number meanwhile: a session sends one group at a time, and only the acceptance finds
/// out that nobody sent beside it. A message that is refused, or is not to be
/// stored, leaves its number to the next. A repeat is what was accepted before, under its number, whatever it says now.
struct ReceivedGroup: Sendable {
    /// A message as its channel is to be told it.
    struct Numbered: Sendable {
        var number: Int64
        var message: SentMessage
        var isRepeat: Bool

        func received(at time: Timestamp) -> ChannelDeviceMessage {
            ChannelDeviceMessage(number: number, id: message.id, receivedAt: time, body: message.body)
        }
    }

    private let messages: [SentMessage]
    private let known: [PairingStore.MessageNumber]
    /// Those that were told, each with its number and whether it is a repeat.
    private(set) var told: [(number: Int64, isRepeat: Bool)] = []
    /// Numbers that those before have taken.
    private var taken: Int64 = 0
    /// Those before that took one, by their identifiers.
    private var named: [String: (number: Int64, body: String)] = [:]

    /// - Parameter known: what the store knows of each.
    init(_ messages: [SentMessage], known: [PairingStore.MessageNumber]) {
        self.messages = messages
        self.known = known
    }

    /// The next message.
    ///
    /// - Parameter result: what came of the one before it.
    mutating func next(after result: Result<ChannelOutput, Refusal>?) -> Numbered {
        end(after: result)
        var message = messages[told.count]
        let known = known[told.count]
        let earlier = named[message.id] ?? known.accepted.map { (known.number, $0) }
        let number = earlier?.number ?? known.number + taken
        told.append((number, earlier != nil))
        if let earlier { message.body = earlier.body }
        return Numbered(number: number, message: message, isRepeat: earlier != nil)
    }

    /// What came of the newest.
    private mutating func end(after result: Result<ChannelOutput, Refusal>?) {
        guard case .success(let output)? = result, !output.isEphemeral, let newest = told.last,
            !newest.isRepeat
        else { return }
        taken += 1
        if messages.count > 1 {
            let message = messages[told.count - 1]
            named[message.id] = (newest.number, message.body)
        }
    }
}
