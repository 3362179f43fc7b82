import FoundationEssentials
import Glibc
import Unix

/// The process in which a plugin is checked, so that it can end nothing but that.
public enum CheckChild {
    /// The descriptor on which the parent expects results.
    static let resultDescriptor: Int32 = 3

    /// Reads the plan from standard input, makes the checks and writes what they find; never returns.
    ///
    /// It ends with its parent, whatever the plugin does meanwhile.
    public static func run() -> Never {
        // Away from the first numbers, which a careless plugin may close.
        let results = fcntl(resultDescriptor, F_DUPFD_CLOEXEC, 200)
        let input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 201)
        close(resultDescriptor)
        let nothing = open("/dev/null", O_RDONLY)
        dup2(nothing, STDIN_FILENO)
        close(nothing)
        // What the caller of the program left open is not the plugin's to write to.
        for case let number? in names(in: "/proc/self/fd").map(Int32.init)
        where number > STDERR_FILENO && number != results && number != input {
            close(number)
        }
        let line = CheckLine(descriptor: results)
        guard results >= 0, let plan = readPlan(from: input) else { endProcess(CheckLine.lostStatus) }
        endWithParent(input)
        FaultWatch.start(line: results)
        let bench = Bench(plan: plan, line: line)
        for name in plan.checks {
            guard let check = Check.all.first(where: { $0.name == name }) else { continue }
            line.send(CheckMessage(began: name))
            bench.begin()
            var gaveUp = false
            do {
                try check.run(bench)
            } catch let error as Inapplicable {
                bench.findings.notApplicable = error.reason
            } catch let error as Unusable {
                bench.findings.notApplicable = error.problem
            } catch {
                gaveUp = true
            }
            line.send(CheckMessage(ended: bench.findings, gaveUp: gaveUp ? true : nil))
        }
        bench.calling("the end of the process")
        // What the plugin printed and still holds back.
        fflush(nil)
        line.send(CheckMessage(done: true))
        endProcess(0)
    }

    private static func readPlan(from descriptor: Int32) -> CheckPlan? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.last != UInt8(ascii: "\n") {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
        return try? JSONDecoder().decode(CheckPlan.self, from: Data(bytes))
    }

    /// Nothing more comes on standard input but its end, which is the parent's.
    private static func endWithParent(_ descriptor: Int32) {
        _ = OSThread.start(named: "check-parent") {
            var byte: UInt8 = 0
            while read(descriptor, &byte, 1) < 0, errno == EINTR {}
            endProcess(CheckLine.lostStatus)
        }
    }
}
