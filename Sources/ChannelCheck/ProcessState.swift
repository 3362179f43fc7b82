import FoundationEssentials
import Glibc

/// What a process has one of, and a plugin must leave as it is.
struct ProcessState {
    private let handlers: [UInt]
    private let mask: [UInt8]
    private let locale: String
    private let folder: String
    private let umask: mode_t
    private let environment: [String: String]

    /// Looks at this process.
    init() {
        handlers = (1..<64).map { number in
            var action = sigaction()
            guard sigaction(Int32(number), nil, &action) == 0 else { return 0 }
            return unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
        }
        var blocked = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &blocked)
        mask = withUnsafeBytes(of: blocked) { Array($0) }
        locale = setlocale(LC_ALL, nil).map { String(cString: $0) } ?? ""
        folder = FileManager.default.currentDirectoryPath
        umask = Glibc.umask(0)
        _ = Glibc.umask(umask)
        environment = ProcessInfo.processInfo.environment
    }

    /// What is different in a later state, a sentence each.
    func changes(to now: ProcessState) -> [String] {
        var changes: [String] = []
        for (index, (old, new)) in zip(handlers, now.handlers).enumerated() where old != new {
            changes.append("It changed the handler of \(signalName(Int32(index + 1))).")
        }
        if mask != now.mask { changes.append("It changed which signals the calling thread blocks.") }
        if locale != now.locale { changes.append("It changed the locale from \(locale) to \(now.locale).") }
        if folder != now.folder { changes.append("It changed the working folder to \(now.folder).") }
        if umask != now.umask { changes.append("It changed the umask.") }
        let names = Set(environment.keys).union(now.environment.keys).sorted()
        for name in names where environment[name] != now.environment[name] {
            changes.append("It changed the environment variable \(name).")
        }
        return changes
    }
}

extension Bench {
    func checkProcess() throws {
        let (_, table) = try plugin()
        try withInstance { try exercise($0) }
        for change in before.changes(to: ProcessState()) { findings.warn(change) }
        if !table.isUnchanged { findings.fail("It changed its table after the entry had returned it.") }
    }
}
