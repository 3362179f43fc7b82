import Dispatch
import PairingCore
import Synchronization

/// Looks at the folder of channels from time to time, on a thread of its own: files may take their time.
final class FolderWatch: Sendable {
    private let newest = Mutex<FolderSurvey?>(nil)
    private let stopping = DispatchSemaphore(value: 0)

    /// What the last look found; `nil` before the first.
    var survey: FolderSurvey? { newest.withLock { $0 } }

    /// Looks after each interval, until ``stop()``.
    ///
    /// - Throws: ``Untrusted`` where the system grants no thread.
    func start(_ look: FolderLook, every interval: Duration) throws(Untrusted) {
        let milliseconds = Int(interval.milliseconds)
        try startThread(named: "channel-files") { [self] in
            var look = look
            while stopping.wait(timeout: .now() + .milliseconds(milliseconds)) == .timedOut {
                let survey = look.survey()
                newest.withLock { $0 = survey }
            }
        }
    }

    /// Ends the thread after its look; does not wait for it, since a file that does not answer may hold it.
    func stop() { stopping.signal() }
}
