/// One directive of nginx's configuration.
struct NginxDirective: Equatable, Sendable {
    var name: String
    var arguments: [String]
    /// What stands in its braces; `nil` for one that ends in a semicolon.
    var block: [NginxDirective]?
}

/// Reads nginx's configuration as nginx does: words, quotes, comments, blocks, and files that are included.
struct NginxParser {
    /// Why it cannot be read.
    struct Problem: Error, Equatable {
        var text: String
        /// Whether a file could not be opened: then nginx, which runs as somebody else, may well read it.
        var isOfAccess = false
    }

    /// More of them than any sensible configuration has end the reading, and so does a file that includes itself.
    private static let mostIncludes = 1000

    private let include: (String) throws(Problem) -> [(path: String, text: String)]
    private var includes = 0

    /// - Parameter include: the files that a pattern stands for, with what is in them.
    init(include: @escaping (String) throws(Problem) -> [(path: String, text: String)]) {
        self.include = include
    }

    /// - Parameter path: what the file is called in problems.
    mutating func parse(_ text: String, named path: String) throws(Problem) -> [NginxDirective] {
        var tokens = NginxTokens(text, path)
        let directives = try block(&tokens, isInside: false)
        return directives
    }

    private mutating func block(
        _ tokens: inout NginxTokens, isInside: Bool
    ) throws(Problem) -> [NginxDirective] {
        var directives: [NginxDirective] = []
        var words: [String] = []
        while let token = try tokens.next() {
            switch token {
            case .word(let word): words.append(word)
            case .end:
                guard let name = words.first else { throw tokens.problem("a semicolon follows nothing") }
                if name == "include", words.count == 2 {
                    for file in try files(words[1]) { directives += try parse(file.text, named: file.path) }
                } else {
                    directives.append(NginxDirective(name: name, arguments: Array(words.dropFirst())))
                }
                words = []
            case .open:
                guard let name = words.first else { throw tokens.problem("a brace follows nothing") }
                let inner = try block(&tokens, isInside: true)
                directives.append(
                    NginxDirective(name: name, arguments: Array(words.dropFirst()), block: inner))
                words = []
            case .close:
                guard isInside, words.isEmpty else { throw tokens.problem("a closing brace is out of place") }
                return directives
            }
        }
        guard !isInside, words.isEmpty else { throw tokens.problem("it ends in the middle") }
        return directives
    }

    private mutating func files(_ pattern: String) throws(Problem) -> [(path: String, text: String)] {
        let files = try include(pattern)
        includes += files.count
        guard includes <= Self.mostIncludes else {
            throw Problem(text: "more than \(Self.mostIncludes) files are included")
        }
        return files
    }
}

/// The words of a configuration.
private struct NginxTokens {
    enum Token: Equatable { case word(String), end, open, close }

    private let characters: [Unicode.Scalar]
    private let path: String
    private var position = 0
    private var line = 1

    init(_ text: String, _ path: String) {
        characters = Array(text.unicodeScalars)
        self.path = path
    }

    func problem(_ text: String) -> NginxParser.Problem {
        NginxParser.Problem(text: "\(path), line \(line): \(text)")
    }

    mutating func next() throws(NginxParser.Problem) -> Token? {
        while position < characters.count {
            switch characters[position] {
            case " ", "\t", "\r": position += 1
            case "\n":
                position += 1
                line += 1
            case "#": while position < characters.count, characters[position] != "\n" { position += 1 }
            case ";": return taking(.end)
            case "{": return taking(.open)
            case "}": return taking(.close)
            case "\"", "'": return .word(try quoted())
            default: return .word(bare())
            }
        }
        return nil
    }

    private mutating func taking(_ token: Token) -> Token {
        position += 1
        return token
    }

    private mutating func quoted() throws(NginxParser.Problem) -> String {
        let quote = characters[position]
        var word = String.UnicodeScalarView()
        position += 1
        while position < characters.count {
            let character = characters[position]
            position += 1
            if character == quote { return String(word) }
            if character == "\n" { line += 1 }
            if character == "\\", position < characters.count, characters[position] == quote {
                word.append(quote)
                position += 1
            } else {
                word.append(character)
            }
        }
        throw problem("a quote is not closed")
    }

    private mutating func bare() -> String {
        var word = String.UnicodeScalarView()
        while position < characters.count {
            let character = characters[position]
            // A variable may be written as ${name}, whose braces are part of the word.
            if character == "{", word.last == "$" {
                while position < characters.count, characters[position] != "}" {
                    word.append(characters[position])
                    position += 1
                }
                continue
            }
            if " \t\r\n;{".unicodeScalars.contains(character) { break }
            word.append(character)
            position += 1
        }
        return String(word)
    }
}
