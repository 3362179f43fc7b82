import ChannelHost
import PairingCore
import PairingStore

/// The numbers of messages that one session sent together, as their channel is to be told them: a pure machine.
///
/// Nobody else takes a number meanwhile: a session sends one group at a time. A message that is refused, or is not to be
/// stored, leaves its number to the next. A repeat is what was accepted before, under its number, whatever it says now.
struct ReceivedGroup: Sendable {
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
    /// - Returns: its number, and what it says or said when it was accepted.
    mutating func next(
        after result: Result<ChannelOutput, Refusal>?
    ) -> (number: Int64, message: SentMessage) {
        end(after: result)
        var message = messages[isRepeat.count]
        let known = known[isRepeat.count]
        let earlier = named[message.id] ?? known.accepted.map { (known.number, $0) }
        isRepeat.append(earlier != nil)
        number = earlier?.number ?? known.number + taken
        if let earlier { message.body = earlier.body }
        return (number, message)
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

    /// What counts of a channel's answer: what was stored stays stored, whatever the channel thinks of it by now.
    static func settled(
        _ result: Result<ChannelOutput, Refusal>, isRepeat: Bool
    ) -> Result<ChannelOutput, Refusal> {
        guard isRepeat else { return result }
        guard case .success(var output) = result else { return .success(ChannelOutput()) }
        output.isEphemeral = false
        return .success(output)
    }
}
