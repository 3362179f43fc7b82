import Foundation
import Testing

@testable import nodesctl

@Suite("New channels")
struct ChannelProjectTests {
    @Test(
        "A name that is no channel's ID, or another channel's, is refused",
        arguments: [
            "", "Parrot", "1st", "a b", "../up", "ž", String(repeating: "a", count: 33), "web", "iot",
        ])
    func badNames(name: String) {
        #expect(throws: CommandFailure.self) { try ChannelProject(name: name, language: .c) }
    }

    @Test(
        "The type is called like the channel",
        arguments: [("parrot", "ParrotChannel"), ("my-sensor_2", "MySensor2Channel"), ("a--", "AChannel")])
    func typeNames(name: String, type: String) throws {
        #expect(try ChannelProject(name: name, language: .swift).typeName == type)
    }

    @Test(
        "Every placeholder is filled, and the name is in each file",
        arguments: ChannelProject.Language.allCases)
    func placeholders(language: ChannelProject.Language) throws {
        let project = try ChannelProject(name: "parrot", language: language)
        for file in project.files where !file.path.hasPrefix(".") && file.path != "goclaw_channel.h" {
            #expect(!file.text.contains("@NAME@") && !file.text.contains("@TYPE@"), "\(file.path)")
            #expect(file.text.contains("parrot"), "\(file.path)")
            #expect(file.text.hasSuffix("\n"), "\(file.path)")
        }
    }
}
