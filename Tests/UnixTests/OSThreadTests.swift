import Glibc
import Synchronization
import Testing
import Unix

@Suite("Threads")
struct OSThreadTests {
    @Test("A thread has its name, which Linux cuts, and is over when it was joined")
    func named() throws {
        let name = Mutex("")
        let thread = try #require(
            OSThread(named: "a-name-longer-than-fifteen") {
                let file = open("/proc/thread-self/comm", O_RDONLY)
                defer { close(file) }
                var bytes = [UInt8](repeating: 0, count: 64)
                let count = read(file, &bytes, bytes.count)
                name.withLock { $0 = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) }
            })
        thread.join()
        #expect(name.withLock { $0 } == "a-name-longer-t\n")
    }

    @Test("A thread takes no signals of the process, but its own faults")
    func signals() throws {
        let blocked = Mutex<[Int32: Bool]>([:])
        let thread = try #require(
            OSThread(named: "signals") {
                var mask = sigset_t()
                pthread_sigmask(SIG_BLOCK, nil, &mask)
                for signal in [SIGTERM, SIGINT, SIGHUP, SIGSEGV, SIGABRT] {
                    blocked.withLock { $0[signal] = sigismember(&mask, signal) == 1 }
                }
            })
        thread.join()
        #expect(
            blocked.withLock { $0 }
                == [SIGTERM: true, SIGINT: true, SIGHUP: true, SIGSEGV: false, SIGABRT: false])
    }
}
