import ChannelHost
import Dispatch
import Glibc
import Logging
import PairingCore

/// The channels of a folder, as a server has them.
private func load(_ directory: String) -> ChannelHost {
    let host = ChannelHost.load(
        directory: directory, logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
    if let refused = host.refused.first {
        print("\(refused.path): \(refused.reason)")
        exit(1)
    }
    return host
}

private let readings = #"{"readings":[{"name":"t","unit":"Cel","type":"number","periodMs":1000}]}"#

private func open(_ channel: ChannelID, _ number: Int, _ host: ChannelHost) async -> ChannelSession? {
    guard let senderID = SenderID("echo-\(number)") else { return nil }
    let opening = ChannelSessionOpening(
        channel: channel, senderID: senderID, hasKey: true,
        metadata: channel.text == "iot" ? readings : "{}", openedAt: Timestamp(milliseconds: 0))
    return try? await host.open(opening, onCloseRequest: { _ in }).session
}

/// The way to a channel's thread and back, alone and in batches, beside that of a bare queue.
func measureHandOver(directory: String) async {
    let host = load(directory)
    defer { host.shutdown() }
    guard let web = ChannelID("web"), let session = await open(web, 1, host) else { return }
    let message = ChannelDeviceMessage(
        number: 1, id: "m", receivedAt: Timestamp(milliseconds: 0), body: twoHundredBytes)
    let queue = DispatchQueue(label: "benchmark")
    var alone: [Double] = []
    var inBatch: [Double] = []
    var bare: [Double] = []
    for _ in 0..<31 {
        alone.append(
            await time(calls: 500) {
                for _ in 0..<500 { _ = try? await host.receive(message, in: session) }
            })
        inBatch.append(
            await time(calls: 20 * 64) {
                for _ in 0..<20 { _ = try? await host.receive(count: 64, in: session) { _, _ in message } }
            })
        bare.append(
            await time(calls: 500) {
                for _ in 0..<500 {
                    await withCheckedContinuation { continuation in queue.async { continuation.resume() } }
                }
            })
    }
    ChannelBenchmark.report("hand_over_alone_us", median(alone))
    ChannelBenchmark.report("hand_over_in_batches_us", median(inBatch))
    ChannelBenchmark.report("bare_queue_us", median(bare))
    host.close(session, reason: "done")
}

/// Microseconds for each call.
private func time(calls: Int, _ body: () async -> Void) async -> Double {
    let took = await ContinuousClock().measure(body)
    return Double(took.components.seconds) * 1e6 / Double(calls)
        + Double(took.components.attoseconds) / 1e12 / Double(calls)
}

/// What the process grows by for each open session.
func measureSessions(of name: String, directory: String) async {
    let host = load(directory)
    defer { host.shutdown() }
    let count = 20_000
    guard let channel = ChannelID(name) else { return print("no channel ID:", name) }
    // Some first, so that what any session allocates once is not counted.
    var sessions: [ChannelSession] = []
    sessions.reserveCapacity(2 * count)
    for number in 0..<1000 { sessions += await open(channel, number, host).map { [$0] } ?? [] }
    let before = residentBytes()
    for number in 0..<count { sessions += await open(channel, number, host).map { [$0] } ?? [] }
    guard sessions.count == count + 1000 else { return print("\(channel) refused sessions") }
    ChannelBenchmark.report("session_bytes", Double(residentBytes() - before) / Double(count))
    for session in sessions { host.close(session, reason: "done") }
}

/// What the process occupies of memory.
private func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 128)
    guard fgets(&buffer, Int32(buffer.count), file) != nil else { return 0 }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
}
