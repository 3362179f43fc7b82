import ChannelHost
import PairingCore
import PairingStore

/// The numbers of messages that one session sent together, as their channel is to be told them: a pure machine.
///
/// Nobody else takes a number meanwhile: a session sends one group at a time. A message that is refused, or is not to be
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
    /// Whether each that was told is a repeat.
    private(set) var isRepeat: [Bool] = []
    /// Numbers that those before have taken.
    private var taken: Int64 = 0
    /// Those before that took one, by their identifiers.
    private var named: [String: (number: Int64, body: String)] = [:]
    /// The number that the newest would take.
    private var number: Int64 = 0

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
        var message = messages[isRepeat.count]
        let known = known[isRepeat.count]
        let earlier = named[message.id] ?? known.accepted.map { (known.number, $0) }
        isRepeat.append(earlier != nil)
        number = earlier?.number ?? known.number + taken
        if let earlier { message.body = earlier.body }
        return Numbered(number: number, message: message, isRepeat: earlier != nil)
    }

    /// What came of the newest.
    private mutating func end(after result: Result<ChannelOutput, Refusal>?) {
        guard case .success(let output)? = result, !output.isEphemeral, isRepeat.last == false else { return }
        taken += 1
        if messages.count > 1 {
            let message = messages[isRepeat.count - 1]
            named[message.id] = (number, message.body)
        }
    }
}
