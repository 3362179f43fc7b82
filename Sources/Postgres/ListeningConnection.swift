/// What a listener does on its connection.
extension Connection {
    /// Waits until notifications may have arrived, or somebody signals, and asks the server for a sign of life if
    /// it's silent.
    ///
    /// - Parameter leavesReadOnly: whether a server that accepts no changes, and so notifies of none, is to be left.
    /// - Throws: `PostgresError` if the connection broke, the server is silent or is to be left.
    func awaitNotification(for duration: Duration, leavesReadOnly: Bool) throws(PostgresError) {
        let ready = Readiness.wait(socket: socket, wakeup: wakeup, until: .now + duration)
        guard let ready else {
            let result = withStatementLimit(.seconds(3)) {
                Result { () throws(PostgresError) in
                    try query("SELECT current_setting('transaction_read_only') = 'on' AS read_only")
                }
            }
            let isReadOnly = try result.get().first?.bool("read_only") ?? false
            if leavesReadOnly, isReadOnly {
                throw PostgresError(
                    .connectionFailed, sqlState: .readOnlySQLTransaction,
                    summary: "the server accepts no changes; another one of the connection string's may")
            }
            return
        }
        if ready.socketReadable, !absorbInput() { throw PostgresError(.connectionLost) }
    }

    /// Listens here, notifies through a second connection and waits for the notification here.
    ///
    /// - Throws: `PostgresError` with code `listenUnsupported` if it doesn't arrive.
    func verifyListenWorks(
        _ configuration: PostgresConfiguration, thread: ConnectionThread, timeout: Duration
    ) throws(PostgresError) {
        let token = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        let channel = "listen_check_\(token)"
        try runScript("LISTEN \(channel)")
        let second = try Connection(configuration, wakeup: wakeup)
        _ = try second.query("SELECT pg_notify($1, $2)", [.text(channel), .text(token)])
        let deadline = ContinuousClock.now + timeout
        while true {
            while let notification = nextNotification() {
                if notification == (channel, token) {
                    try runScript("UNLISTEN \(channel)")
                    return
                }
            }
            if thread.isStopping { throw PostgresError(.cancelled) }
            guard let ready = Readiness.wait(socket: socket, wakeup: wakeup, until: deadline) else { break }
            if ready.socketReadable, !absorbInput() { throw PostgresError(.connectionLost) }
        }
        throw PostgresError(
            .listenUnsupported,
            summary: """
                a notification didn't arrive within \(timeout); connect to PostgreSQL itself or to a pooler in session \
                mode, since one that gives connections out by transaction loses notifications
                """)
    }
}

/// Pieces of SQL that can't be parameters.
enum SQLText {
    /// A name in double quotes, which may hold anything.
    static func identifier(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
