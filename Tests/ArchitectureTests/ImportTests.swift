import Testing

/// What a target may import: the two right columns of the design's table of modules.
private struct Row {
    var package: Set<String> = []
    var outside: Set<String> = []
}

private let log = "Logging"
private let metrics = "Metrics"
private let lifecycle: Set<String> = ["ServiceLifecycle", "UnixSignals"]
private let nio: Set<String> = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOWebSocket"]

/// A main may import everything.
private let everything = Row(
    package: [
        "ChannelCheck", "ChannelHost", "Cryptography", "DeviceGateway", "FastCGI", "AdminPages",
        "NodesConfiguration",
        "NodesProcess", "NodesProtocol", "PairingCore", "PairingKernel", "PairingStore", "Postgres",
        "PrometheusMetrics",
    ],
    outside: nio.union(lifecycle).union([log, metrics, "ArgumentParser", "FoundationEssentials", "Glibc"]))

private let table: [String: Row] = [
    "CGoClawChannel": Row(), "CLibPQ": Row(), "CFastCGI": Row(), "CGlibcMalloc": Row(),
    "CLibCrypto": Row(), "CNodesBuild": Row(),
    "ChannelKit": Row(package: ["CGoClawChannel"], outside: ["FoundationEssentials"]),
    "PairingCore": Row(),
    "Unix": Row(outside: ["Glibc"]),
    "Cryptography": Row(package: ["CLibCrypto"]),
    "Postgres": Row(package: ["CLibPQ", "Unix"], outside: lifecycle.union([log, metrics, "Glibc"])),
    "PairingStore": Row(package: ["PairingCore", "Postgres"]),
    "ChannelHost": Row(
        package: ["PairingCore", "CGoClawChannel", "Cryptography", "Unix"],
        outside: [log, metrics, "Glibc", "FoundationEssentials"]),
    "ChannelCheck": Row(
        package: ["PairingCore", "CGoClawChannel", "CGlibcMalloc", "ChannelHost", "Cryptography", "Unix"],
        outside: ["Glibc", "FoundationEssentials"]),
    "PairingKernel": Row(
        package: ["PairingCore", "PairingStore", "ChannelHost", "Cryptography"],
        outside: lifecycle.union([log, metrics])),
    "NodesProtocol": Row(package: ["PairingCore"], outside: ["FoundationEssentials"]),
    "DeviceGateway": Row(
        package: ["PairingCore", "PairingKernel", "NodesProtocol", "Unix"],
        outside: nio.union(lifecycle).union([log, metrics, "Glibc"])),
    "FastCGI": Row(package: ["CFastCGI", "Unix"], outside: lifecycle.union([log, "Glibc"])),
    "AdminPages": Row(package: ["PairingCore", "PairingKernel", "FastCGI"], outside: ["Mustache"]),
    "NodesConfiguration": Row(package: ["PairingCore"], outside: ["Configuration"]),
    "PrometheusMetrics": Row(outside: ["CoreMetrics", metrics]),
    "NodesProcess": Row(
        package: [
            "CNodesBuild", "PairingCore", "Cryptography", "Postgres", "PairingStore", "ChannelHost",
            "PairingKernel", "NodesConfiguration", "PrometheusMetrics",
        ],
        outside: lifecycle.union([log, metrics, "FoundationEssentials", "Glibc"])),
    "nodes-kernel": everything, "nodes-gateway": everything, "nodesctl": everything,
]

/// Modules of the toolchain that are allowed wherever threads are.
private let concurrency: Set<String> = ["Synchronization", "Dispatch"]

@Suite("Imports")
struct ImportTests {
    @Test("Every target imports only what its row of the design's table allows")
    func rows() throws {
        for file in try Repository.swiftFiles(in: "Sources") {
            let row = try #require(table[file.target], "\(file.target) is not in the table")
            let allowed = row.package.union(row.outside)
                .union(file.target == "PairingCore" ? [] : concurrency)
            for module in imports(of: file) where !allowed.contains(module) {
                Issue.record("\(file) imports \(module)")
            }
        }
    }

    @Test("A channel imports the SDK and nothing of this repository's internals")
    func channels() throws {
        for file in try Repository.swiftFiles(in: "Plugins") where !file.path.hasSuffix("/Package.swift") {
            let allowed = concurrency.union(["ChannelKit", "FoundationEssentials"])
            for module in imports(of: file) where !allowed.contains(module) {
                Issue.record("\(file) imports \(module)")
            }
        }
    }

    @Test("The table allows no cycle: a row imports only rows that do not lead back to it")
    func order() {
        func reaches(_ target: String, _ goal: String) -> Bool {
            (table[target]?.package ?? []).contains { $0 == goal || reaches($0, goal) }
        }
        for target in table.keys { #expect(!reaches(target, target), "\(target)") }
    }

    private func imports(of file: Repository.SourceFile) -> [String] {
        let pattern =
            /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:\w+\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?([A-Za-z_]\w*)/
        return file.lines.compactMap { $0.firstMatch(of: pattern).map { String($0.1) } }
    }
}
