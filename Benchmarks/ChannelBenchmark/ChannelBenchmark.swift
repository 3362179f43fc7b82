import Glibc

/// What calls into the channels of a folder cost, and what a channel's sessions hold. Prints one `name value` a
/// line, for `make bench` to put into sentences.
@main
struct ChannelBenchmark {
    static func main() async {
        let arguments = CommandLine.arguments.dropFirst()
        switch (arguments.first, arguments.count) {
        case ("calls", 2):
            measureCalls()
            await measureHandOver(directory: arguments[2])
        case ("sessions", 3):
            await measureSessions(of: arguments[3], directory: arguments[2])
        default:
            print("usage: channel-benchmark calls FOLDER | sessions FOLDER CHANNEL")
            exit(64)
        }
    }

    /// Prints a figure.
    static func report(_ name: String, _ value: Double) { print(name, (value * 100).rounded() / 100) }
}

/// The middle of some samples.
func median(_ samples: [Double]) -> Double { samples.sorted()[samples.count / 2] }

/// Nanoseconds of this thread's own work.
func threadTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
}
