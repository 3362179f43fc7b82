internal import CGoClawChannel

/// What the process offers a channel. All of it may be called from any thread, at any time.
///
/// `@unchecked Sendable`: the table lives as long as the process, does not change, and its functions may be
/// called from any thread (goclaw_channel.h).
public struct Host: @unchecked Sendable {
    private static let leastSize = ChannelKit.leastSize(with: \goclaw_host.answer)

    private let table: UnsafePointer<goclaw_host>

    /// How much a line of the log matters.
    public enum Severity: Int32, Sendable {
        case debug = 0
        case info = 1
        case notice = 2
        case warning = 3
        case error = 4
        /// The host broke a promise of the interface.
        case hostMisbehaving = 5
        /// The channel noticed a fault of its own; the host counts these.
        case pluginMisbehaving = 6
    }

    /// A host for a channel's own tests, which does nothing: no log and no metrics, and its clocks stand at 0.
    /// Nobody reads what a ticket of it answers.
    public static let forTests: Host = {
        // Never freed, as every host's table.
        let table = UnsafeMutablePointer<goclaw_host>.allocate(capacity: 1)
        table.initialize(to: goclaw_host())
        return Host(checked: UnsafePointer(table))
    }()

    private init(checked table: UnsafePointer<goclaw_host>) { self.table = table }

    /// - Returns: `nil` where the table is not one this Kit can work with.
    init?(table: UnsafePointer<goclaw_host>?) {
        guard let table, table.pointee.size >= Self.leastSize,
            table.pointee.abi_major == UInt16(GOCLAW_ABI_MAJOR)
        else { return nil }
        self.init(checked: table)
    }

    /// Writes a line to the log, with the channel's name; up to 1,024 characters are kept.
    public func log(_ severity: Severity, _ line: String) {
        withText(line) { table.pointee.log?(table, severity.rawValue, $0) }
    }

    /// The wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    public var clockMilliseconds: Int64 { table.pointee.clock_ms?(table) ?? 0 }

    /// A clock that never goes back, in nanoseconds from an arbitrary moment.
    public var monotonicNanoseconds: UInt64 { table.pointee.monotonic_ns?(table) ?? 0 }

    /// Adds to a counter of this channel, which appears in the metrics of the process.
    ///
    /// - Parameter name: `[a-z][a-z0-9_]{0,63}`; the host keeps 64 names, counters and gauges together.
    public func count(_ name: String, by amount: UInt64 = 1) {
        withText(name) { _ = table.pointee.count?(table, $0, amount) }
    }

    /// Sets a gauge of this channel; names as for ``count(_:by:)``.
    public func gauge(_ name: String, _ value: Double) {
        withText(name) { _ = table.pointee.gauge?(table, $0, value) }
    }

    /// Asks for the end of a session; ``Channel/closed(_:state:reason:)`` follows in its time.
    ///
    /// - Parameter reason: what the device reads, up to 120 bytes.
    public func close(_ session: Session, reason: String) {
        withText(reason) { _ = table.pointee.close_session?(table, session.id, $0) }
    }

    func answer(_ ticket: goclaw_ticket, _ write: (borrowing Sink) -> Status) -> Bool {
        withoutActuallyEscaping(write) { write in
            let writer = Writer(write)
            let status = table.pointee.answer?(
                table, ticket,
                { user, sink in
                    guard let user, let sink = Sink(sink) else { return Status.failed.rawValue }
                    return Unmanaged<Writer>.fromOpaque(user).takeUnretainedValue().write(sink).rawValue
                }, Unmanaged.passUnretained(writer).toOpaque())
            return withExtendedLifetime(writer) { status == Status.ok.rawValue }
        }
    }

    private final class Writer {
        let write: (borrowing Sink) -> Status
        init(_ write: @escaping (borrowing Sink) -> Status) { self.write = write }
    }
}
