import FoundationEssentials
import Glibc
import Logging
import PairingCore
import Synchronization

/// Writes the log as JSON, an object a line, for what collects logs.
package struct JSONLogHandler: LogHandler {
    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let program: String
    private let clock: WallClock
    private let write: @Sendable (String) -> Void

    /// - Parameters:
    ///   - program: the program's name.
    ///   - write: takes each line, its end included; called on any thread.
    package init(
        program: String, clock: @escaping WallClock, write: @escaping @Sendable (String) -> Void
    ) {
        self.program = program
        self.clock = clock
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var facts = metadata
        facts.merge(metadataProvider?.get() ?? [:]) { $1 }
        facts.merge(event.metadata ?? [:]) { $1 }
        if let error = event.error { facts["error"] = "\(error)" }
        let seconds = Double(clock().milliseconds) / 1000
        let time = Date(timeIntervalSince1970: seconds)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let line = JSONValue.object([
            "time": .string(time), "level": .string(event.level.rawValue), "program": .string(program),
            "source": .string(event.source), "message": .string("\(event.message)"),
            "facts": Self.value(.dictionary(facts)),
        ])
        write(line.text + "\n")
    }

    private static func value(_ value: Logger.Metadata.Value) -> JSONValue {
        switch value {
        case .string(let text): .string(text)
        case .stringConvertible(let convertible): .string("\(convertible)")
        case .array(let elements): .array(elements.map(Self.value))
        case .dictionary(let members): .object(members.mapValues(Self.value))
        }
    }
}

/// Standard error, a whole line at a time.
enum StandardError {
    private static let lock = Mutex(())

    static func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        lock.withLock { _ in
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                // Whoever read it is gone: there is nobody to tell.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
