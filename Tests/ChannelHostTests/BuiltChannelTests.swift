import ChannelHost
import Foundation
import PairingCore
import Testing

/// The channels of this package, as they are built, installed and loaded.
@Suite("The channels of this package")
struct BuiltChannelTests {
    /// Installs the built channels.
    private func install() async throws -> Cage {
        let cage = try Cage()
        let script = repository.appending(path: "scripts/install-channels").path()
        let installed = try await run(script, [cage.folder.path(), builtProducts.path()])
        try #require(installed.status == 0, "\(installed.output)")
        return cage
    }

    /// Installs the built channels and loads them; what is loaded no longer needs its files.
    private func load(_ configurations: [String: String] = [:]) async throws -> ChannelHost {
        try await install().load(configurations)
    }

    @Test("They are installed with their manifests and loaded, export their entry alone, and are small")
    func loaded() async throws {
        let cage = try await install()
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.refused == [])
        #expect(host.channels.map(\.id.text) == ["iot", "mobile", "openclaw", "web"])
        #expect(host.channels.allSatisfy { $0.swiftVersion != nil })
        #expect(host.channels.map(\.limits.requiresKey) == [true, false, false, false])
        for channel in host.channels {
            let symbols = try await run("nm", ["-D", "--defined-only", "--extern-only", channel.path])
            #expect(symbols.output.split(separator: "\n").count == 1, "\(symbols.output)")
            #expect(symbols.output.contains(" T goclaw_channel_entry"))
            // Without debug information; a release build has less than half of a debug build's.
            let stripped = cage.folder.appending(path: "stripped").path()
            try #require(try await run("strip", ["-o", stripped, channel.path]).status == 0)
            let size = try #require(
                FileManager.default.attributesOfItem(atPath: stripped)[.size] as? Int)
            #expect(size < 720 * 1024, "\(channel.id)")
        }
        withExtendedLifetime(cage) {}
    }

    @Test("A Swift plugin of another Swift version, or of none, is refused by its manifest")
    func otherSwift() async throws {
        let cage = try await install()
        let file = cage.folder.appending(path: "web.json")
        var manifest = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
        manifest["swift"] = "5.10.1"
        try cage.write(try JSONEncoder().encode(manifest), "web.json")
        let silent = cage.folder.appending(path: "iot.json")
        var other = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: silent))
        other["swift"] = nil
        try cage.write(try JSONEncoder().encode(other), "iot.json")
        let host = cage.load()
        defer { host.shutdown() }
        #expect(host.channels.map(\.id.text) == ["mobile", "openclaw"])
        #expect(host.refused.first?.reason.hasPrefix("iot.so needs libswiftCore.so") == true)
        #expect(
            host.refused.last?.reason.hasPrefix("web.so was built with Swift 5.10.1, this process") == true)
    }

    @Test("A configuration that is wrong refuses the channel with the key's name")
    func configuration() async throws {
        let host = try await load([
            "openclaw": #"{"maximumCharacters": 32001}"#,
            "web": #"{"maximumCharacters": 0}"#, "mobile": #"{"minimumVersions": {"ios": "two"}}"#,
            "iot": #"{"minimumPeriodMs": "often"}"#,
        ])
        defer { host.shutdown() }
        #expect(host.channels == [])
        #expect(
            host.refused.map(\.reason) == [
                "it cannot be configured: The configuration's minimumPeriodMs has another type than a whole "
                    + "number.",
                "it cannot be configured: minimumVersions.ios is \"two\", expected numbers with dots such as "
                    + "2.4.0.",
                "it cannot be configured: maximumCharacters is 32001, expected 1 to 32000.",
                "it cannot be configured: maximumCharacters is 0, expected 1 to 32000.",
            ])
    }

    @Test("web: a plain request passes; what the browser says is shown")
    func webReview() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let plain = try await host.review(try claim("tablet-reception-01", channel: "web"))
        #expect(plain.details == [])
        let metadata = #"""
            {"browser": {"name": "Firefox", "version": "128.0"}, "platform": "Linux", "language": "de",
             "screen": {"width": 1280, "height": 800, "pixelRatio": 2}, "timeZone": "Europe/Berlin",
             "unknown": [1, 2]}
            """#
        let review = try await host.review(try claim("Tablet_1.b", channel: "web", metadata: metadata))
        #expect(
            review.details.map { "\($0.label): \($0.value)" } == [
                "Browser: Firefox 128.0", "Platform: Linux", "Screen: 1280 × 800 at 2.0×", "Language: de",
                "Time zone: Europe/Berlin",
            ])
        let short = #"{"browser": "Chromium 126", "screen": "1280x800"}"#
        let texts = try await host.review(try claim("kiosk", channel: "web", metadata: short))
        #expect(texts.details.map(\.value) == ["Chromium 126", "1280x800"])
    }

    @Test("web: sender IDs that are no slugs are refused")
    func webSenderID() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let cases = ["user@host", "a:b", "a--b", "a-", "a.", "x" + String(repeating: "y", count: 64)]
        for senderID in cases {
            let refused = try await refusal { try await host.review(try claim(senderID, channel: "web")) }
            #expect(refused?.code == .invalidRequest)
            #expect(refused?.reason == "invalid_sender_id")
        }
    }

    @Test("web: metadata that breaks a rule is refused with its place")
    func webMetadata() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let cases = [
            (#"{"screen": {"width": 1280}}"#, "The metadata's screen.height is missing."),
            (#"{"screen": {"width": "a", "height": 1}}"#, "The metadata's screen.width has another type"),
            (
                #"{"screen": {"width": 0, "height": 1}}"#,
                "The metadata's screen.width has a value that is not allowed: expected 1 to 100000 pixels."
            ),
            (#"{"language": 5}"#, "The metadata's language has another type than a string."),
            (#"{"browser": []}"#, "The metadata's browser has another type than"),
        ]
        for (metadata, message) in cases {
            let refused = try await refusal {
                try await host.review(try claim("kiosk", channel: "web", metadata: metadata))
            }
            #expect(refused?.reason == "invalid_metadata")
            #expect(refused?.message.hasPrefix(message) == true, "\(refused?.message ?? "")")
        }
    }

    @Test("web: text passes up to its limit, typing notices and parts have frames of their own")
    func webMessages() async throws {
        let host = try await load(["web": #"{"maximumCharacters": 5}"#])
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening("kiosk", channel: "web")) { _ in }
        defer { host.close(session, reason: "bye") }
        for body in [#""hello""#, #"{"text":"hello"}"#, #"{"mine":1}"#] {
            let output = try await host.receive(message(body), in: session)
            #expect(output.messages.map(\.body) == [body])
        }
        let long = try await refusal { try await host.receive(message(#""hello!""#), in: session) }
        #expect(long?.reason == "text_too_long")
        let odd = try await refusal { try await host.receive(message(#"{"type":"video"}"#), in: session) }
        #expect(odd?.reason == "invalid_message")
        let typing = ChannelAgentMessage(number: 4, agent: "echo", body: #"{"type":"typing"}"#)
        let part = ChannelAgentMessage(
            number: 5, agent: "echo", body: #""hel""#, part: .init(index: 0, isLast: false))
        let whole = ChannelAgentMessage(number: 6, agent: "echo", body: "null")
        var frames: [ChannelFrame] = []
        for message in [typing, part, whole] { frames += try await host.deliver(message, in: session) }
        #expect(frames.map(\.event) == ["typing", "message.part", "message"])
        #expect(
            frames[1].payload == #"{"messageSeq":5,"agent":"echo","message":"hel","part":0,"last":false}"#)
    }

    @Test("mobile: an app older than the minimum of its platform is refused, others pass")
    func mobileVersions() async throws {
        let host = try await load(["mobile": #"{"minimumVersions":{"ios":"2.4.0","Android":"1"}}"#])
        defer { host.shutdown() }
        let cases =
            [
                (#"{"platform":"iOS","appVersion":"2.3.9"}"#, "app_version_too_old"),
                (#"{"platform":"ios","appVersion":"2.4.0-beta.3"}"#, "app_version_too_old"),
                (#"{"platform":"ios","appVersion":"2.4"}"#, nil),
                (#"{"platform":"ios","appVersion":"10.0+7"}"#, nil),
                (#"{"platform":"ios","appVersion":"new"}"#, "invalid_app_version"),
                (#"{"platform":"ios"}"#, "app_version_required"),
                (#"{"appVersion":"3.0"}"#, "platform_required"),
                ("", "platform_required"), (#"{"platform":"tizen","appVersion":"0.1"}"#, nil),
                (#"{"platform":"android","appVersion":"1"}"#, nil),
            ] as [(String, String?)]
        for (metadata, reason) in cases {
            let refused = try await refusal {
                try await host.review(try claim("b1c9", channel: "mobile", metadata: metadata))
            }
            #expect(refused?.reason == reason, "\(metadata)")
            if reason == "app_version_too_old" { #expect(refused?.code == .forbidden) }
        }
    }

    @Test("mobile: without a minimum a plain request passes; what the app says is shown")
    func mobileReview() async throws {
        let host = try await load()
        defer { host.shutdown() }
        #expect(try await host.review(try claim("b1c9", channel: "mobile")).details == [])
        let metadata = #"{"platform":"iOS","model":"iPhone 15","appVersion":"2.4.1","locale":"de-DE"}"#
        let review = try await host.review(try claim("b1c9", channel: "mobile", metadata: metadata))
        #expect(review.details.map(\.value) == ["iOS", "iPhone 15", "2.4.1", "de-DE"])
        let refused = try await refusal { try await host.review(try claim("me@home", channel: "mobile")) }
        #expect(refused?.reason == "invalid_sender_id")
    }

    @Test("mobile: a message is receipted under the ID the app gave it; receipts are frames of their own")
    func mobileMessages() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening("b1c9", channel: "mobile")) { _ in }
        defer { host.close(session, reason: "bye") }
        let output = try await host.receive(message(#"{"text":"hi"}"#), in: session)
        #expect(output.messages.map(\.body) == [#"{"text":"hi"}"#])
        #expect(
            output.frames == [
                ChannelFrame(event: "receipt", payload: #"{"messageId":"m-1","status":"delivered"}"#)
            ])
        let read = #"{"type":"receipt","messageSeq":7,"status":"read"}"#
        #expect(
            try await host.receive(message(read), in: session)
                == ChannelOutput(receipts: [ChannelReceipt(number: 7, state: .read)]))
        let receipt = #"{"type":"receipt","messageId":"m-9","status":"read"}"#
        let frames = try await host.deliver(ChannelAgentMessage(number: 1, body: receipt), in: session)
        #expect(
            frames == [
                ChannelFrame(
                    event: "receipt", payload: #"{"messageId":"m-9","messageSeq":1,"status":"read"}"#)
            ])
        for bad in [
            #"{"type":"receipt","messageSeq":7,"status":"eaten"}"#, #"{"type":"receipt","status":"read"}"#,
            #"{"type":"receipt","messageSeq":0,"status":"read"}"#,
        ] {
            let refused = try await refusal { try await host.receive(message(bad), in: session) }
            #expect(refused?.reason == "invalid_message")
        }
    }

    @Test("mobile: an app in the background, and one in which somebody writes, says so; neither is kept")
    func mobileBackground() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let (session, _) = try await host.open(try opening("b1c9", channel: "mobile")) { _ in }
        defer { host.close(session, reason: "bye") }
        for (type, background) in [("background", true), ("foreground", false), ("typing", nil)]
            as [(_, Bool?)]
        {
            #expect(
                try await host.receive(message(#"{"type":"\#(type)"}"#), in: session)
                    == ChannelOutput(isEphemeral: true, background: background))
        }
    }

    private static let sensor = #"""
        {"model": "WS-2", "readings": [
         {"name": "temperature", "unit": "Cel", "type": "number", "min": -40, "max": 85, "periodMs": 60000},
         {"name": "door", "unit": "1", "type": "boolean", "periodMs": 500},
         {"name": "count", "unit": "{visits}/h", "type": "integer", "min": 0, "periodMs": 3600000}]}
        """#

    @Test("iot: a key is required, the declaration is shown")
    func iotReview() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let refused = try await refusal {
            try await host.review(try claim("ws-2-0001", channel: "iot", metadata: Self.sensor))
        }
        #expect(refused?.reason == "key_required")
        let review = try await host.review(
            try claim("ws-2-0001", channel: "iot", metadata: Self.sensor, hasKey: true))
        #expect(
            review.details.map { "\($0.label): \($0.value)" } == [
                "Model: WS-2", "Readings: 3", "temperature: number, Cel, -40.0 to 85.0, every 60 s",
                "door: boolean, 1, every 500 ms", "count: integer, {visits}/h, from 0.0, every 3600 s",
            ])
    }

    @Test("iot: a declaration that breaks a rule is refused with the reading and the rule")
    func iotDeclaration() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let cases = [
            ("", "readings is missing"), (#"{"readings":[]}"#, "readings has 0 entries; expected 1 to 64"),
            (#"{"readings":{}}"#, "readings has another type than"),
            (#"{"readings":[{"name":"t"}]}"#, "readings[0].unit is missing"),
            (reading(unit: "°C"), "(t) has the unit \"°C\", which is no UCUM code"),
            (reading(unit: "celsius"), "which is no UCUM code"), (reading(unit: ""), "which is no UCUM code"),
            (reading(unit: "m//s"), "which is no UCUM code"), (reading(unit: "[stone]"), "no UCUM code"),
            (reading(unit: "((((((((((m"), "no UCUM code"),
            (reading(type: "float"), "has the type \"float\"; expected number, integer, boolean, text"),
            (reading(name: "1t"), "has a name that is not a letter followed by"),
            (reading(more: #","min":5,"max":1"#), "has a min above its max"),
            (reading(type: "text", more: #","min":5"#), "has min or max, which only numbers"),
            (reading(period: 5), "has the periodMs 5; expected 100 to 2678400000"),
            (
                #"{"readings":[{"name":"t","unit":"K","type":"number","periodMs":100},"#
                    + #"{"name":"t","unit":"K","type":"number","periodMs":100}]}"#,
                "readings[1] has the name \"t\" of another reading"
            ),
        ]
        for (metadata, message) in cases {
            let refused = try await refusal {
                try await host.review(
                    try claim("ws-2-0001", channel: "iot", metadata: metadata, hasKey: true))
            }
            #expect(refused?.code == .invalidRequest)
            #expect(refused?.message.contains(message) == true, "\(refused?.message ?? "")")
        }
    }

    @Test("iot: units by their UCUM codes are accepted")
    func iotUnits() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let cases = [
            "Cel", "[degF]", "%", "Pa", "hPa", "kW.h", "m/s", "m/s2", "mm[Hg]", "ug/m3", "[ppm]", "1",
            "10*3/uL",
            "{visits}/h", "/min", "L/min", "mS/cm", "dB[SPL]", "deg", "kg.m2.s-2", "(m.s)/K", "A", "Ohm",
            "KiBy",
            "[in_i'Hg]", "m{head}", "B[10.nV]", "kcal_[15]", "%[slope]", "[m/s2/Hz^(1/2)]", "[stone_av]",
        ]
        for unit in cases {
            let claim = try claim("ws-2-0001", channel: "iot", metadata: reading(unit: unit), hasKey: true)
            #expect(try await refusal { try await host.review(claim) } == nil, "\(unit)")
        }
    }

    @Test("iot: readings become one message with units, and are checked against the declaration")
    func iotMessages() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let opening = try opening("ws-2-0001", channel: "iot", metadata: Self.sensor)
        let (session, _) = try await host.open(opening) { _ in }
        defer { host.close(session, reason: "bye") }
        let good = #"{"at": 5, "readings": {"count": 3, "temperature": 21.5}}"#
        #expect(
            try await host.receive(message(good), in: session).messages.map(\.body) == [
                #"{"at":5,"readings":[{"name":"temperature","unit":"Cel","value":21.5},"#
                    + #"{"name":"count","unit":"{visits}/h","value":3}],"type":"readings"}"#
            ])
        let long = String(repeating: "x", count: 60_000)
        let bad = [
            (#"{"temperature": 99}"#, "\"temperature\" is 99.0, more than its declared max, 85.0"),
            (#"{"temperature": -41}"#, "less than its declared min, -40.0"),
            (#"{"temperature": "hot"}"#, "\"temperature\" is not of its declared type, number"),
            (#"{"count": 1.5}"#, "\"count\" is 1.5; it was declared as an integer"),
            (#"{"humidity": 5}"#, "\"humidity\" was not declared"), ("{}", "readings is empty"),
            (#"{"door": null}"#, "readings.door"),
            (#"{"\#(long)": 5}"#, "\"\(long.prefix(64))…\" was not declared when the device asked to pair; "),
        ]
        for (readings, problem) in bad {
            let refused = try await refusal {
                try await host.receive(message(#"{"readings": \#(readings)}"#), in: session)
            }
            #expect(refused?.code == .invalidRequest)
            #expect(refused?.message.contains(problem) == true, "\(refused?.message ?? "")")
        }
        #expect(host.status.allSatisfy { $0.misbehaviours == 0 })
    }

    @Test("iot: a command is a frame of its own and is acknowledged by its name")
    func iotCommands() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let opening = try opening("ws-2-0001", channel: "iot", metadata: Self.sensor)
        let (session, _) = try await host.open(opening) { _ in }
        defer { host.close(session, reason: "bye") }
        let command = #"{"type":"command","command":"reboot","delayS":5}"#
        let frames = try await host.deliver(
            ChannelAgentMessage(number: 3, agent: "ops", body: command), in: session)
        #expect(frames.map(\.event) == ["command"])
        #expect(frames.map(\.payload) == [#"{"messageSeq":3,"agent":"ops","message":\#(command)}"#])
        let ack = #"{"type":"ack","command":"reboot","ok":true}"#
        #expect(try await host.receive(message(ack), in: session).messages.map(\.body) == [ack])
        let bad = try await refusal {
            try await host.receive(message(#"{"type":"ack","command":"re boot","ok":true}"#), in: session)
        }
        #expect(bad?.message.contains("command") == true)
    }

    @Test("iot: a device whose approved metadata has no declaration may not connect")
    func iotWithoutDeclaration() async throws {
        let host = try await load()
        defer { host.shutdown() }
        let refused = try await refusal {
            try await host.open(try opening("ws-2-0001", channel: "iot")) { _ in }
        }
        #expect(refused?.message == "The metadata's readings is missing.")
    }
}

private func message(_ body: String) -> ChannelDeviceMessage {
    ChannelDeviceMessage(number: 1, id: "m-1", receivedAt: Timestamp(milliseconds: 2_000), body: body)
}

private func reading(
    name: String = "t", unit: String = "K", type: String = "number", period: Int = 1000, more: String = ""
) -> String {
    #"{"readings":[{"name":"\#(name)","unit":"\#(unit)","type":"\#(type)","periodMs":\#(period)\#(more)}]}"#
}
