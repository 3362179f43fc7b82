internal import CGoClawChannel

/// Lends a string to the host for the duration of a call.
func withText<Result>(_ text: String, _ body: (goclaw_text) -> Result) -> Result {
    var text = text
    return text.withUTF8 { bytes in
        body(
            goclaw_text(
                ptr: UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self),
                len: bytes.count))
    }
}

/// Lends two strings.
func withTexts<Result>(_ one: String, _ two: String, _ body: (goclaw_text, goclaw_text) -> Result) -> Result {
    withText(one) { one in withText(two) { two in body(one, two) } }
}

/// Lends three strings.
func withTexts<Result>(
    _ one: String, _ two: String, _ three: String, _ body: (goclaw_text, goclaw_text, goclaw_text) -> Result
) -> Result {
    withTexts(one, two) { one, two in withText(three) { three in body(one, two, three) } }
}

/// A record's own size, as it states it.
func recordSize<Record>(of type: Record.Type) -> UInt32 { UInt32(MemoryLayout<Record>.size) }

/// Reads a record that the host lends: no further than it says it is long, the rest being zero.
///
/// - Returns: `nil` where there is none.
func read<Record: BitwiseCopyable>(_ record: UnsafePointer<Record>?) -> Record? {
    guard let record else { return nil }
    let stated = Int(UnsafeRawPointer(record).load(as: UInt32.self))
    guard stated < MemoryLayout<Record>.size else { return record.pointee }
    return withUnsafeTemporaryAllocation(of: Record.self, capacity: 1) { copy in
        let bytes = UnsafeMutableRawBufferPointer(copy)
        _ = bytes.initializeMemory(as: UInt8.self, repeating: 0)
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: record, count: stated))
        return copy[0]
    }
}

/// How large a table must say it is to have that member, the last one this Kit needs.
func leastSize<Table, Member>(with member: KeyPath<Table, Member>) -> UInt32 {
    // Members of an imported C struct are stored, so they have offsets.
    UInt32((MemoryLayout<Table>.offset(of: member) ?? MemoryLayout<Table>.size) + MemoryLayout<Member>.size)
}

extension String {
    /// Copies a text that the host lends.
    ///
    /// - Returns: `nil` where it is not UTF-8, or has a length and no bytes.
    init?(_ text: goclaw_text) {
        if text.len == 0 {
            self = ""
            return
        }
        // Swift sees a size_t as an Int: what is beyond its range is negative.
        guard let start = text.ptr, text.len > 0 else { return nil }
        let bytes = UnsafeRawBufferPointer(start: start, count: text.len)
        guard let copy = String(validating: bytes, as: UTF8.self) else { return nil }
        self = copy
    }
}

extension Credential {
    init(_ number: UInt32) { self = number == UInt32(GOCLAW_CREDENTIAL_KEY) ? .key : .token }
}

extension Claim {
    /// - Returns: `nil` where the record breaks the interface's rules.
    init?(_ record: UnsafePointer<goclaw_claim>?) {
        guard let record = read(record), let senderID = String(record.sender_id),
            let displayName = String(record.display_name), let metadata = String(record.metadata)
        else { return nil }
        self.init(
            senderID: senderID, displayName: displayName, credential: Credential(record.credential),
            metadata: metadata)
    }
}

extension Session {
    /// - Returns: `nil` where the record breaks the interface's rules.
    init?(_ record: goclaw_session) {
        guard let senderID = String(record.sender_id), let metadata = String(record.metadata) else {
            return nil
        }
        self.init(
            id: record.id, senderID: senderID, credential: Credential(record.credential),
            metadata: metadata, openedMilliseconds: record.opened_ms)
    }
}

extension DeviceMessage {
    /// - Returns: `nil` where the record breaks the interface's rules.
    init?(_ record: UnsafePointer<goclaw_device_message>?) {
        guard let record = read(record), let id = String(record.id), let body = String(record.body) else {
            return nil
        }
        self.init(number: record.number, id: id, receivedMilliseconds: record.received_ms, body: body)
    }
}

extension AgentMessage {
    /// - Returns: `nil` where the record breaks the interface's rules.
    init?(_ record: UnsafePointer<goclaw_agent_message>?) {
        guard let record = read(record), let id = String(record.id), let agent = String(record.agent),
            let body = String(record.body)
        else { return nil }
        let flags = Int(record.flags)
        self.init(
            number: record.number, id: id, agent: agent, body: JSON(text: body),
            part: flags & GOCLAW_MESSAGE_PART == 0
                ? nil : Part(index: record.part, isLast: flags & GOCLAW_MESSAGE_LAST != 0))
    }
}
