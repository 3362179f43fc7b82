import ArgumentParser
import Cryptography
import DeviceClient
import Dispatch
import NodesProcess
import PairingCore
import UnixSignals

/// `nodesctl device`: a device for demonstrations and tests.
struct DeviceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Be a device: ask to pair, show the code, stay connected, exchange messages.",
        discussion: """
            The first start makes a credential and keeps it in the state file, which is all the device needs to \
            come back after a restart. A line of standard input is sent as the message {"text": LINE}, or as it \
            is where it is a JSON object.

            Ends with 0 when interrupted, and with 65 when the device was revoked, denied, replaced by another \
            connection, or refused for good.
            """)

    @Option(
        help: """
            Where the gateway is: ws://HOST[:PORT]/PATH. It speaks no TLS: for wss, open a tunnel, such as socat \
            TCP-LISTEN:8080,bind=127.0.0.1,fork,reuseaddr OPENSSL:HOST:443, and give --origin https://HOST.
            """)
    var url = "ws://127.0.0.1:8080/ws"

    @Option(help: "The public origin, where --url leads to the end of a TLS tunnel: https://HOST.")
    var origin: String?

    @Option(help: "The kind of device: web, mobile, iot, or another channel's name.")
    var channel = "web"

    @Option(help: "The device's own identifier, such as tablet-reception-01.")
    var sender: String

    @Option(
        help: ArgumentHelp("The file that keeps the credential; made at the first start.", valueName: "file"))
    var state: String

    @Flag(help: "The kind of credential that the first start makes.")
    var credential: CredentialKind?

    @Option(help: "The name the administrator sees.")
    var name = ""

    @Option(help: "What the device says of itself: a JSON object.")
    var metadata = "{}"

    @Option(help: "A message to send once connected; may be given several times.")
    var send: [String] = []

    @Flag(help: "Send the lines of standard input, also where it is not a terminal.")
    var interactive = false

    @Flag(help: "When revoked, or denied before this start, ask for a new pairing.")
    var repair = false

    @Flag(help: "End once connected and, for every --send, a message was received.")
    var once = false

    @OptionGroup var output: OutputOptions

    /// What a device can prove itself by.
    enum CredentialKind: String, EnumerableFlag {
        case key, token

        static func help(for value: Self) -> ArgumentHelp? {
            switch value {
            case .key: "Make a key pair (the default)."
            case .token: "Make a token."
            }
        }
    }

    mutating func run() async throws {
        try await reporting(asJSON: output.json) { try await live() }
    }

    private func live() async throws {
        let address = try DeviceAddress(url, served: try origin.map(servedOrigin))
        let metadata = try readMetadata()
        let file = DeviceStateFile(path: state)
        let contents = try restored(from: file)
        let identity = DeviceIdentity(
            channel: contents.channel, senderID: contents.senderID, origin: address.origin,
            credential: contents.credential, displayName: name, metadata: metadata)
        let run = DeviceRun(
            identity: identity, address: address, progress: contents.progress,
            plan: DeviceRun.Plan(repairs: repair, answers: once ? send.count : nil),
            keep: { credential, progress in
                var kept = contents
                kept.credential = credential
                kept.progress = progress
                try file.save(kept)
            },
            observe: { [json = output.json] report in
                try Terminal.print(
                    json ? report.json(at: .now).text : terminalText(report.text, keepingLines: true))
            })
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        Task { for await _ in signals { await run.quit() } }
        Task { [send, interactive] in
            for text in send { await run.say(try makeSaying(text)) }
            guard interactive || Terminal.isInteractive else { return }
            for await line in standardInputLines() where !line.isEmpty { await run.say(try makeSaying(line)) }
        }
        switch await run.run() {
        case .quit: break
        case .revoked, .replaced, .denied, .refused: throw ExitCode(ExitStatus.refused.rawValue)
        case .failed(let reason): throw CommandFailure(.failure, reason)
        }
    }

    /// The device of the state file, or a new one that is in the file when this returns.
    private func restored(from file: DeviceStateFile) throws -> DeviceStateFile.Contents {
        guard let channel = ChannelID(channel) else {
            throw CommandFailure(.usage, "--channel \(channel): expected a channel's name, such as web.")
        }
        guard let sender = SenderID(sender) else {
            throw CommandFailure(
                .usage,
                "--sender \(sender): expected 1 to 128 letters, digits and ._:@- that begin with a letter or "
                    + "digit.")
        }
        guard let contents = try file.load() else {
            let contents = DeviceStateFile.Contents(
                channel: channel, senderID: sender,
                credential: credential == .token ? try .makeToken() : try .makeKey())
            try file.save(contents)
            return contents
        }
        guard contents.channel == channel, contents.senderID.text == sender.text else {
            throw CommandFailure(
                .refused,
                "\(state) belongs to \(contents.senderID) on channel \(contents.channel); give another "
                    + "--state, or that --sender and --channel.")
        }
        guard credential == nil || (credential == .key) == contents.credential.needsChallenge else {
            throw CommandFailure(
                .refused,
                "\(state) holds the other kind of credential; leave --key and --token out, or give another "
                    + "--state.")
        }
        return contents
    }

    private func servedOrigin(_ text: String) throws -> Origin {
        guard let origin = Origin(text) else {
            throw CommandFailure(
                .usage, "--origin \(text): expected a web origin, such as https://nodes.example.org.")
        }
        return origin
    }

    private func readMetadata() throws -> JSONValue {
        var problem = "it is JSON, and no object"
        var value: JSONValue?
        do { value = try JSONValue(parsing: metadata.utf8) } catch { problem = "\(error)" }
        guard let value, case .object = value else {
            throw CommandFailure(
                .usage, "--metadata: expected a JSON object, such as {\"model\":\"T1\"}; \(problem).")
        }
        return value
    }
}

/// A line of text as a message with a fresh identifier.
private func makeSaying(_ line: String) throws(CryptographyError) -> DeviceMachine.Saying {
    let message: JSONValue
    if let value = try? JSONValue(parsing: line.utf8), case .object = value {
        message = value
    } else {
        message = .object(["text": .string(line)])
    }
    return DeviceMachine.Saying(id: Base64URL.encode(try randomBytes(count: 16)), message: message)
}

/// The lines of standard input, each read when it is asked for, on a thread that may block.
private func standardInputLines() -> AsyncStream<String> {
    let queue = DispatchQueue(label: "standard input")
    return AsyncStream {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: readLine()) }
        }
    }
}
