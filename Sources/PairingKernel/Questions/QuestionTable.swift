import PairingCore
import PairingStore

/// Who waits here for the answer to which message. A pure machine; `Reader` is whatever is told.
///
/// One message may be waited for more than once: somebody asked again before the answer came.
struct QuestionTable<Reader> {
    private struct Entry {
        let sender: PairingStore.PairedSender
        let messageID: String
        /// `nil` until the message is accepted.
        var sequence: Int64?
        let reader: Reader
    }

    private var entries: [QuestionID: Entry] = [:]
    private var byDevice: [String: [QuestionID]] = [:]
    private var lastNumber: UInt64 = 0

    var count: Int { entries.count }

    /// Somebody is about to ask.
    mutating func add(
        _ messageID: String, of sender: PairingStore.PairedSender, _ reader: Reader
    ) -> QuestionID {
        lastNumber += 1
        let id = QuestionID(number: lastNumber)
        entries[id] = Entry(sender: sender, messageID: messageID, sequence: nil, reader: reader)
        byDevice[sender.senderID.key, default: []].append(id)
        return id
    }

    /// The message is accepted.
    ///
    /// - Returns: whether the answer is still waited for.
    mutating func accepted(_ id: QuestionID, as sequence: Int64) -> Bool {
        guard entries[id] != nil else { return false }
        entries[id]?.sequence = sequence
        return true
    }

    /// Nobody waits any more, or everything was said.
    ///
    /// - Returns: who waited; `nil` where that is over already.
    @discardableResult
    mutating func remove(_ id: QuestionID) -> Reader? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        let key = entry.sender.senderID.key
        byDevice[key]?.removeAll { $0 == id }
        if byDevice[key]?.isEmpty == true { byDevice[key] = nil }
        return entry.reader
    }

    /// Who waits for the answer to a message.
    func readers(of messageID: String, from sender: PairingStore.PairedSender) -> [Reader] {
        questions(messageID, sender).compactMap { entries[$0]?.reader }
    }

    /// Takes out who waits for the answer to a message.
    mutating func take(_ messageID: String, of sender: PairingStore.PairedSender) -> [Reader] {
        questions(messageID, sender).compactMap { remove($0) }
    }

    /// Takes out who waits for answers to a device of an older pairing.
    mutating func revoke(_ senderID: SenderID, below generation: Generation) -> [Reader] {
        (byDevice[senderID.key] ?? []).filter { id in
            entries[id].map { $0.sender.generation < generation } ?? false
        }.compactMap { remove($0) }
    }

    /// Takes out everybody.
    mutating func takeAll() -> [Reader] { Array(entries.keys).compactMap { remove($0) } }

    /// The messages that are accepted and not answered, as far as is known here.
    var awaited: [(id: QuestionID, message: PairingStore.AwaitedMessage)] {
        entries.compactMap { id, entry in
            entry.sequence.map {
                (id, PairingStore.AwaitedMessage(sender: entry.sender, sequence: $0))
            }
        }
    }

    private func questions(_ messageID: String, _ sender: PairingStore.PairedSender) -> [QuestionID] {
        (byDevice[sender.senderID.key] ?? []).filter { id in
            entries[id].map { $0.messageID == messageID && $0.sender == sender } ?? false
        }
    }
}
