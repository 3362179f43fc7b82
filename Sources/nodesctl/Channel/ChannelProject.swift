import PairingCore

/// The files of a new channel's project.
struct ChannelProject: Equatable {
    /// In what a channel is written.
    enum Language: String, CaseIterable {
        case swift, c
    }

    /// A file of the project.
    struct File: Equatable {
        /// Relative to the project's folder.
        var path: String
        var text: String
    }

    /// The channels that come with the servers.
    private static let taken: Set<String> = ["web", "mobile", "iot"]

    let name: String
    let language: Language

    /// - Throws: why the name is none for a channel.
    init(name: String, language: Language) throws(CommandFailure) {
        guard ChannelID(name) != nil else {
            throw CommandFailure(
                .usage,
                "\"\(name)\" is not a channel's ID: expected 1 to 32 of a-z, 0-9, _ and -, beginning with a "
                    + "letter, such as my-sensor.")
        }
        guard !Self.taken.contains(name) else {
            throw CommandFailure(
                .usage,
                "The channel \(name) comes with GoClaw Nodes, and an ID is one channel's: choose another.")
        }
        self.name = name
        self.language = language
    }

    /// The Swift type, and the library's name: `my-sensor` becomes `MySensorChannel`.
    var typeName: String {
        name.split { $0 == "-" || $0 == "_" }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            + "Channel"
    }

    /// What is to be written.
    var files: [File] {
        switch language {
        case .c:
            [
                File(path: "\(name).c", text: filled(PackageResources.channel_c_txt)),
                File(path: "goclaw_channel.h", text: text(PackageResources.goclaw_channel_h)),
                File(path: "Makefile", text: filled(PackageResources.Makefile_txt)),
                File(path: "README.md", text: filled(PackageResources.README_c_md)),
                File(path: ".gitignore", text: "*.so\n.nodes/\n"),
            ]
        case .swift:
            [
                File(path: "Package.swift", text: filled(PackageResources.Package_swift_txt)),
                File(
                    path: "Sources/\(typeName)/\(typeName).swift",
                    text: filled(PackageResources.Channel_swift_txt)),
                File(
                    path: "Tests/\(typeName)Tests/\(typeName)Tests.swift",
                    text: filled(PackageResources.ChannelTests_swift_txt)),
                File(path: "README.md", text: filled(PackageResources.README_swift_md)),
                File(path: ".gitignore", text: ".build/\n.nodes/\nPackage.resolved\n"),
            ]
        }
    }

    /// The commands that build, check and install it, one a line.
    var nextSteps: [String] {
        switch language {
        case .c:
            ["make", "make check", "make install"]
        case .swift:
            [
                "export NODES=~/goclaw-nodes  # the repository of GoClaw Nodes, where it is",
                "swift build", "nodesctl channel check .build/debug/lib\(typeName).so",
                #""$NODES/scripts/install-channels" "$CHANNELS" .build/debug/lib\#(typeName).so"#,
            ]
        }
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private func filled(_ template: [UInt8]) -> String {
        text(template).replacing("@NAME@", with: name).replacing("@TYPE@", with: typeName)
    }
}
