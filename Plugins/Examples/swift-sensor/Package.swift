// swift-tools-version: 6.3

import PackageDescription

/// The repository of GoClaw Nodes.
let nodes = Context.environment["NODES"] ?? "\(Context.packageDirectory)/../../.."

let package = Package(
    name: "swift-sensor",
    products: [.library(name: "SensorChannel", type: .dynamic, targets: ["SensorChannel"])],
    dependencies: [.package(name: "goclaw-nodes", path: nodes)],
    targets: [
        .target(
            name: "SensorChannel",
            dependencies: [.product(name: "ChannelKit", package: "goclaw-nodes")],
            linkerSettings: [
                // Of a plugin's symbols only its entry is visible.
                .unsafeFlags(["-Xlinker", "--version-script=\(nodes)/Plugins/channel.exports"])
            ])
    ]
)
