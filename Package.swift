// swift-tools-version: 6.3

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let nio: [Target.Dependency] = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOWebSocket"].map {
    .product(name: $0, package: "swift-nio")
}

func module(
    _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: [], resources: resources,
        swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude,
        swiftSettings: strict)
}

func channel(_ name: String) -> Target {
    .target(
        name: name, dependencies: ["ChannelKit"], path: "Plugins/\(name)",
        exclude: ["README.md"], swiftSettings: strict,
        linkerSettings: [
            // Of a plugin's symbols only its entry is visible.
            .unsafeFlags([
                "-Xlinker", "--version-script=\(Context.packageDirectory)/Plugins/channel.exports",
            ])
        ])
}

/// Everything a server process is made of.
let server: [Target.Dependency] = [
    "Agents", "PairingCore", "Cryptography", "Postgres", "PairingStore", "ChannelHost", "PairingKernel",
    "NodesConfiguration", "NodesProcess", "PrometheusMetrics", "Traces", log, metrics, tracing, lifecycle,
    unixSignals, arguments,
]

let package = Package(
    name: "goclaw-nodes",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "nodes-kernel", targets: ["nodes-kernel"]),
        .executable(name: "nodes-gateway", targets: ["nodes-gateway"]),
        .executable(name: "nodesctl", targets: ["nodesctl"]),
        .library(name: "ChannelKit", targets: ["ChannelKit"]),
        .library(name: "WebChannel", type: .dynamic, targets: ["WebChannel"]),
        .library(name: "MobileChannel", type: .dynamic, targets: ["MobileChannel"]),
        .library(name: "IoTChannel", type: .dynamic, targets: ["IoTChannel"]),
        .library(name: "OpenClawChannel", type: .dynamic, targets: ["OpenClawChannel"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // System libraries and the plugin ABI.
        .target(name: "CGoClawChannel"),
        .target(name: "CNodesBuild"),
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CFastCGI", providers: [.apt(["libfcgi-dev"])]),
        .systemLibrary(name: "CGlibcMalloc"),
        .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // Modules; a row imports only rows above it.
        module("ChannelKit", ["CGoClawChannel"]),
        module("PairingCore"),
        module("Unix"),
        module("Cryptography", ["CLibCrypto"]),
        module(
            "Traces",
            [
                "PairingCore", log, metrics, tracing, lifecycle,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        module("Postgres", ["CLibPQ", "Unix", log, metrics, tracing, lifecycle]),
        module(
            "PairingStore", ["PairingCore", "Postgres"],
            resources: [
                .embedInCode("Migrations/v001_pairing.sql"),
                .embedInCode("Migrations/v002_forwarded_messages.sql"),
                .embedInCode("Migrations/v003_instance_channels.sql"),
                .embedInCode("Migrations/v004_exact_metadata.sql"),
                .embedInCode("Migrations/v005_counted_streams.sql"),
                .embedInCode("Migrations/v006_agent_work.sql"),
                .embedInCode("Migrations/v007_pushes.sql"),
                .embedInCode("Migrations/v008_replaced_sessions.sql"),
                .embedInCode("Migrations/v009_decision_reasons.sql"),
                .embedInCode("Migrations/v010_silence.sql"),
                .embedInCode("Migrations/v011_find.sql"),
                .embedInCode("Migrations/v012_suspect_calls.sql"),
                .embedInCode("Migrations/v013_requests_by_token.sql"),
                .embedInCode("Migrations/v014_accounts.sql"),
                .embedInCode("Migrations/v015_event_chain.sql"),
                .embedInCode("Migrations/v016_invitations.sql"),
                .embedInCode("Migrations/v017_feed_epoch.sql"),
                .embedInCode("Migrations/v018_webhooks.sql"),
                .embedInCode("Migrations/v019_conversations.sql"),
                .embedInCode("Migrations/v020_command_calls.sql"),
                .embedInCode("Migrations/v021_device_word.sql"),
                .embedInCode("Migrations/v022_passkeys.sql"),
                .embedInCode("Migrations/v023_commands_off.sql"),
            ]),
        module("ChannelHost", ["PairingCore", "CGoClawChannel", "Cryptography", "Unix", log, metrics]),
        module(
            "ChannelCheck",
            ["PairingCore", "CGoClawChannel", "CGlibcMalloc", "ChannelHost", "Cryptography", "Unix"]),
        module(
            "Agents",
            [
                "PairingCore", "Cryptography", metrics, tracing,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]),
        module(
            "PairingKernel",
            [
                "PairingCore", "PairingStore", "ChannelHost", "Agents", "Cryptography", log, metrics, tracing,
                lifecycle,
            ]),
        module("NodesProtocol", ["PairingCore"]),
        module("PrometheusMetrics", [.product(name: "CoreMetrics", package: "swift-metrics")]),
        module(
            "DeviceGateway",
            ["PairingKernel", "NodesProtocol", "Traces", "Unix", log, metrics, tracing, lifecycle] + nio),
        module("DeviceClient", ["PairingCore", "Cryptography", "NodesProtocol"] + nio),
        module("FastCGI", ["CFastCGI", "Unix", log, lifecycle]),
        module("AdminPages", ["PairingKernel", "FastCGI"]),
        module(
            "NodesConfiguration",
            ["PairingCore", .product(name: "Configuration", package: "swift-configuration")]),

        module(
            "NodesProcess",
            [
                "CNodesBuild", "PairingCore", "Cryptography", "Postgres", "PairingStore", "ChannelHost",
                "Agents",
                "PairingKernel", "NodesConfiguration", "PrometheusMetrics", "Traces", log, metrics, tracing,
                lifecycle,
            ]),

        .executableTarget(
            name: "nodes-kernel", dependencies: server + ["FastCGI", "AdminPages"],
            swiftSettings: strict),
        .executableTarget(
            name: "nodes-gateway", dependencies: server + ["NodesProtocol", "DeviceGateway"],
            swiftSettings: strict),
        .executableTarget(
            name: "nodesctl", dependencies: server + ["DeviceClient", "ChannelCheck"],
            resources: [
                .embedInCode("Templates/goclaw_channel.h"), .embedInCode("Templates/channel.c.txt"),
                .embedInCode("Templates/Makefile.txt"), .embedInCode("Templates/README-c.md"),
                .embedInCode("Templates/Package.swift.txt"), .embedInCode("Templates/Channel.swift.txt"),
                .embedInCode("Templates/ChannelTests.swift.txt"),
                .embedInCode("Templates/README-swift.md"),
            ],
            swiftSettings: strict),

        // For conformance suites; not installed.
        .executableTarget(
            name: "websocket-echo", dependencies: ["DeviceGateway", "PairingCore"] + nio,
            path: "Tests/WebSocketEcho",
            swiftSettings: strict),

        // What a call into a plugin costs; not installed.
        .executableTarget(
            name: "channel-benchmark",
            dependencies: ["ChannelKit", "ChannelHost", "CGoClawChannel", "PairingCore", log],
            path: "Benchmarks/ChannelBenchmark",
            swiftSettings: strict),

        // Channels.
        channel("WebChannel"),
        channel("MobileChannel"),
        channel("IoTChannel"),
        channel("OpenClawChannel"),

        // Tests.
        tests("ArchitectureTests", []),
        tests(
            "FuzzTests",
            [
                "AdminPages", "Agents", "CGoClawChannel", "ChannelHost", "Cryptography", "DeviceGateway",
                "FastCGI", "NodesProtocol", "PairingCore", log,
            ] + nio),
        tests("ChannelKitTests", ["ChannelKit", "CGoClawChannel"]),
        tests("ChannelHostTests", ["ChannelHost", "Cryptography", "PairingCore", log]),
        tests(
            "AdminPagesTests",
            [
                "AdminPages", "PairingKernel", "PairingCore",
            ],
            exclude: ["Golden"]),
        tests("AgentsTests", ["Agents", "PairingCore"] + nio),
        tests("CryptographyTests", ["Cryptography"]),
        tests("TracesTests", ["Traces", "PairingCore", tracing]),
        tests("UnixTests", ["Unix"]),
        tests("PairingCoreTests", ["PairingCore"]),
        tests("NodesProtocolTests", ["NodesProtocol", "PairingCore"], exclude: ["GoClaw", "Golden"]),
        tests(
            "PrometheusMetricsTests",
            ["PrometheusMetrics", .product(name: "CoreMetrics", package: "swift-metrics")]),
        tests(
            "DeviceGatewayTests",
            [
                "DeviceGateway", "NodesProtocol", "PairingKernel", "PairingCore",
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ] + nio),
        tests(
            "PairingStoreTests", ["PairingCore", "PairingStore", "Postgres", "PostgresTestSupport", log]),
        tests(
            "PairingKernelTests",
            [
                "Agents", "PairingCore", "PairingStore", "PairingKernel", "ChannelHost", "Cryptography",
                "Postgres",
                "PostgresTestSupport", log, lifecycle,
            ]),
        tests("NodesConfigurationTests", ["NodesConfiguration"]),
        tests(
            "NodesProcessTests",
            [
                "NodesProcess", "NodesConfiguration", "PairingCore", "PairingKernel", "Postgres",
                "ChannelHost", "Agents",
                "FastCGI", "DeviceGateway", "nodes-gateway", log,
            ]),
        .target(
            name: "PostgresTestSupport", path: "Tests/PostgresTestSupport", swiftSettings: strict),
        tests(
            "PostgresTests", ["Postgres", "PostgresTestSupport", "Traces", log, metrics, tracing, lifecycle]),
        tests("FastCGITests", ["FastCGI", "Unix", log, lifecycle]),
        tests(
            "NodesctlTests",
            ["nodesctl", "ChannelCheck", "DeviceClient", "PairingCore", "PairingStore", "Cryptography"]),
        tests("DeviceClientTests", ["DeviceClient", "NodesProtocol", "PairingCore", "Cryptography"]),
    ]
)
