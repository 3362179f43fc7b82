import Glibc
import PairingCore

/// The three standard streams, without buffers of their own: a line is out when the call returns.
enum Terminal {
    /// Writes a line to standard output.
    ///
    /// - Throws: ``CommandFailure`` where nobody reads any more.
    static func print(_ line: String) throws(CommandFailure) {
        guard writeAll(STDOUT_FILENO, Array((line + "\n").utf8)) else {
            throw CommandFailure(.failure, "Standard output cannot be written to.")
        }
    }

    /// Writes a line to standard error; where that is impossible there is nobody to tell.
    static func complain(_ line: String) {
        _ = writeAll(STDERR_FILENO, Array((line + "\n").utf8))
    }

    /// Whether a person sees standard error.
    static var isWatched: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether a person sits at standard input.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// Asks a question on standard error and reads the answer's line.
    ///
    /// - Returns: `nil` at the end of the input.
    static func ask(_ question: String) -> String? {
        _ = writeAll(STDERR_FILENO, Array((question + " ").utf8))
        return readLine()
    }

    /// Asks for a secret, which the terminal does not show.
    ///
    /// - Returns: `nil` at the end of the input.
    static func askSecretly(_ question: String) -> String? {
        var shown = termios()
        guard tcgetattr(STDIN_FILENO, &shown) == 0 else { return ask(question) }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0 else { return ask(question) }
        defer {
            _ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown)
            complain("")
        }
        return ask(question)
    }
}

/// Writes all bytes to a descriptor.
///
/// - Returns: `false` where it cannot; `errno` says why.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var written = 0
    while written < bytes.count {
        let result = bytes.withUnsafeBytes {
            write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written)
        }
        if result < 0 {
            guard errno == EINTR else { return false }
        } else {
            written += result
        }
    }
    return true
}

/// Text of others as a terminal may see it: whatever could move the cursor or reverse the reading direction
/// is shown as its code point (I7).
func terminalText(_ text: String, keepingLines: Bool = false) -> String {
    var output = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control where keepingLines && (scalar == "\n" || scalar == "\t"): output.append(scalar)
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            output.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
        default: output.append(scalar)
        }
    }
    return String(output)
}
