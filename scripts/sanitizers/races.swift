// What ThreadSanitizer has to say nothing of, and, with an argument, what it has to report: scripts/sanitize runs both
// before it believes what it says of anything else.
import Dispatch
import Glibc
import Synchronization

final class Guarded: Sendable {
    let numbers = Mutex<[Int]>([])
}

// Unchecked on purpose: this is the race.
final class Unguarded: @unchecked Sendable {
    var number = 0
}

let guarded = Guarded()
let unguarded = Unguarded()
DispatchQueue.concurrentPerform(iterations: 8) { thread in
    for turn in 0..<300 {
        guarded.numbers.withLock {
            $0.append(turn)
            // Long enough that others have to wait for the lock.
            if turn % 10 == 0 { usleep(300) }
        }
        if CommandLine.arguments.count > 1 { unguarded.number += thread }
    }
}
