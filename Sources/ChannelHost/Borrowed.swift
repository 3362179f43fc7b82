import CGoClawChannel
import Glibc

/// Lends a string to the plugin for the duration of a call.
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

/// A record's own size, as it states it.
func recordSize<Record>(of type: Record.Type) -> UInt32 { UInt32(MemoryLayout<Record>.size) }

/// Copies a record or table that the plugin lends: no further than it says it is long, the rest being zero.
///
/// - Returns: `nil` where there is none, or it is not aligned.
func read<Record: BitwiseCopyable>(_ record: UnsafePointer<Record>?) -> Record? {
    guard let record, UInt(bitPattern: record) % UInt(MemoryLayout<Record>.alignment) == 0 else { return nil }
    let stated = Int(UnsafeRawPointer(record).load(as: UInt32.self))
    guard stated < MemoryLayout<Record>.size else { return record.pointee }
    return withUnsafeTemporaryAllocation(of: Record.self, capacity: 1) { copy in
        let bytes = UnsafeMutableRawBufferPointer(copy)
        _ = bytes.initializeMemory(as: UInt8.self, repeating: 0)
        bytes.copyMemory(from: UnsafeRawBufferPointer(start: record, count: stated))
        return copy[0]
    }
}

extension goclaw_text {
    /// The bytes, where there are any and they are at least possible.
    var bytes: UnsafeRawBufferPointer? {
        if len == 0 { return UnsafeRawBufferPointer(start: nil, count: 0) }
        // Swift sees a size_t as an Int: what is beyond its range is negative.
        guard let ptr, len > 0 else { return nil }
        return UnsafeRawBufferPointer(start: ptr, count: len)
    }

    /// A copy of at most that many bytes.
    ///
    /// - Returns: `nil` where there are more, or they are not UTF-8.
    func copy(atMost limit: Int) -> String? {
        guard let bytes, bytes.count <= limit else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// A copy of the first so many bytes at most, without a part of a character at its end.
    ///
    /// - Returns: `nil` where they are not UTF-8.
    func copy(cutTo limit: Int) -> String? {
        guard let bytes else { return nil }
        guard bytes.count > limit else { return String(validating: bytes, as: UTF8.self) }
        // A character has up to three bytes after its first.
        let end = (max(0, limit - 3)...limit).last { !UTF8.isContinuation(bytes[$0]) } ?? limit
        return String(validating: bytes.prefix(end), as: UTF8.self)
    }

    /// A copy where the text is a name: `[a-z][a-z0-9_]{0,63}`, and a dot too where `dots`.
    func copyName(dots: Bool = false) -> String? {
        guard let bytes, (1...64).contains(bytes.count), isLowercase(bytes[0]),
            bytes.allSatisfy({
                isLowercase($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || $0 == UInt8(ascii: "_") || (dots && $0 == UInt8(ascii: "."))
            })
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

private func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

/// A clock that never goes back, in nanoseconds from an arbitrary moment.
func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

/// The wall clock, in milliseconds since the epoch.
func wallClockMilliseconds() -> Int64 { Int64(nanoseconds(of: CLOCK_REALTIME) / 1_000_000) }

private func nanoseconds(of clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
