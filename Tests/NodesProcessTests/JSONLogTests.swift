import Logging
import NodesProcess
import PairingCore
import Synchronization
import Testing

@Suite("The log as JSON")
struct JSONLogTests {
    @Test("A line is one object, whatever is in it (I7)")
    func line() throws {
        let lines = Mutex<[String]>([])
        var logger = Logger(label: "nodes-gateway") { label in
            JSONLogHandler(
                program: label, clock: { Timestamp(milliseconds: 1_769_868_000_250) },
                write: { line in lines.withLock { $0.append(line) } })
        }
        logger[metadataKey: "instance"] = "gateway-0"
        logger.notice(
            "An agent\u{1b}[31m says \"no\"\n",
            metadata: ["senderId": "tablet\n{\"level\":\"error\"}", "tries": ["1", "2"]],
            source: "Agents")
        logger.debug("not at this level")
        let written = lines.withLock { $0 }
        try #require(written.count == 1 && written[0].hasSuffix("}\n"))
        #expect(!written[0].dropLast().contains { $0.isNewline } && !written[0].contains("\u{1b}"))
        #expect(
            try JSONValue(parsing: Array(written[0].utf8))
                == .object([
                    "time": .string("2026-01-31T14:00:00.250Z"), "level": .string("notice"),
                    "program": .string("nodes-gateway"), "source": .string("Agents"),
                    "message": .string("An agent\u{1b}[31m says \"no\"\n"),
                    "facts": .object([
                        "instance": .string("gateway-0"),
                        "senderId": .string("tablet\n{\"level\":\"error\"}"),
                        "tries": .array([.string("1"), .string("2")]),
                    ]),
                ]))
    }
}
