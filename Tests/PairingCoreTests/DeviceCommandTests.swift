import PairingCore
import Testing

@Suite("Commands of devices")
struct DeviceCommandTests {
    @Test("What a device declares is read; what breaks a rule is left out, and the others stay")
    func declared() {
        let commands = DeviceCommand.declared(
            in: #"""
                {"commands": [
                    {"name": "light.set", "description": "Switches it.", "timeoutS": 5,
                        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
                    {"name": "blink"}, {"name": "blink", "description": "twice"}, {"name": "1st"}, {"name": "a b"},
                    {"name": "late", "timeoutS": 61}, {"name": "now", "timeoutS": 0}, {"name": "text", "description": 1},
                    {"name": "list", "parameters": {"type": "array"}}, {"name": "any", "parameters": true}, "canvas.present", "a b"
                ]}
                """#)
        #expect(commands.map(\.name) == ["light.set", "blink", "canvas.present"])
        #expect(commands.first?.limit == .seconds(5))
        #expect(commands.first?.summary == "Switches it.")
        #expect(commands.last?.limit == DeviceCommand.usualLimit)
        #expect(commands.last?.parameters["type"] == .string("object"))
        #expect(DeviceCommand.declared(in: #"{"commands": {"name": "x"}}"#).isEmpty)
        #expect(DeviceCommand.declared(in: "{}").isEmpty)
    }

    @Test("A device has 32 commands at most, each with 4,096 bytes of parameters")
    func bounds() {
        let many = (0..<40).map { #"{"name": "c\#($0)"}"# }.joined(separator: ",")
        #expect(DeviceCommand.declared(in: #"{"commands": [\#(many)]}"#).count == DeviceCommand.maximumCount)
        func sized(_ count: Int) -> String {
            #"{"commands":[{"name":"c","parameters":{"d":"\#(String(repeating: "x", count: count))","type":"object"}}]}"#
        }
        let rest = #"{"d":"","type":"object"}"#.utf8.count
        #expect(DeviceCommand.declared(in: sized(DeviceCommand.maximumParameterBytes - rest)).count == 1)
        #expect(DeviceCommand.declared(in: sized(DeviceCommand.maximumParameterBytes - rest + 1)).isEmpty)
    }

    @Test("What is no command is told with the rule that it breaks, in the device's order")
    func faults() {
        let many = (0..<30).map { #","c\#($0)""# }.joined()
        let all = CommandDeclaration.all(
            in: #"""
                {"commands": [
                    {"name": "light.set"}, {"description": "x"}, "1st", {"name": "light.set"}, {"name": "a", "parameters": 1},
                    {"name": "b", "description": 1}, {"name": "c", "timeoutS": 61}\#(many)]}
                """#)
        func fault(_ place: Int) -> CommandFault? {
            guard case .failure(let fault) = all[place].command else { return nil }
            return fault
        }
        #expect(all.count == DeviceCommand.maximumCount + 1)
        #expect(
            (0..<8).map(fault) == [
                nil, .nameless, .badName, .repeated, .badParameters, .badDescription, .badTimeout, nil,
            ])
        #expect(all[1].name == "" && all[2].name == "1st")
        #expect(all.last?.name == "5 more" && fault(32) == .tooMany(5))
        #expect(CommandDeclaration.all(in: #"{"commands":[{"name":"a\u202eb"}]}"#).first?.name == "ab")
    }

    @Test("A message that has a command carried out is known, however it is spelled")
    func called() {
        #expect(DeviceCommand.name(in: #"{"type":"command","command":"light.set"}"#) == "light.set")
        #expect(DeviceCommand.name(in: #"{"type":"c\u006fmmand","\u0063ommand":"light.set"}"#) == "light.set")
        for other in [
            #"{"type":"text","text":"command"}"#, #"{"type":"command"}"#, #"{"type":"command","command":1}"#,
            "command",
        ] {
            #expect(DeviceCommand.name(in: other) == nil)
        }
    }

    @Test("Commands are switched off and on by name; only what is declared can be switched off")
    func switches() throws {
        let metadata = #"{"commands":["a","b","c"]}"#
        let off = try CommandSwitches(off: ["b", "a"]).applied(to: ["z"], declaredIn: metadata)
        #expect(off == ["a", "b", "z"])
        #expect(
            try CommandSwitches(on: ["a", "z", "unknown"]).applied(to: off, declaredIn: metadata) == ["b"])
        #expect(try CommandSwitches(off: ["z"]).applied(to: off, declaredIn: metadata) == off)
        #expect(throws: Refusal.self) {
            try CommandSwitches(off: ["d"]).applied(to: off, declaredIn: metadata)
        }
        let many = (0..<CommandSwitches.maximumOff).map { "x\($0)" }
        #expect(throws: Refusal.self) {
            try CommandSwitches(off: ["a"]).applied(to: many, declaredIn: metadata)
        }
    }

    @Test("A device's answer names its call; one that says too much counts without what it says")
    func answers() {
        let answer = CommandAnswer(#"{"type":"ack","callId":"k","ok":true,"result":[1],"detail":"d"}"#)
        #expect(answer?.callID == "k" && answer?.isDone == true)
        #expect((try? JSONValue(parsing: (answer?.text ?? "").utf8))?["result"] == .array([.integer(1)]))
        let long = String(repeating: "x", count: CommandAnswer.maximumBytes)
        let cut = CommandAnswer(#"{"type":"ack","callId":"k","ok":false,"result":"\#(long)"}"#)
        #expect(cut?.isDone == false && (cut?.text.utf8.count ?? .max) < 100)
        for other in [
            #"{"type":"ack","command":"reboot","ok":true}"#, #"{"type":"text","callId":"k","ok":true}"#,
            #"{"type":"ack","callId":"k"}"#, #"{"type":"ack","callId":7,"ok":true}"#, "\"callId\"",
        ] {
            #expect(CommandAnswer(other) == nil)
        }
    }
}
