import Cryptography
import PairingCore
import Synchronization

/// Room in which passwords are checked, one at a time, for a few at once; whoever comes then is refused, not kept.
///
/// A request that waits here holds one of the threads that serve pages. The lanes of strangers and of known places
/// together have fewer places than there are threads, so that however many sign in at once, the pages of those who are
/// signed in go on; and strangers cannot fill the lane of those who were here before.
final class SignInLane: Sendable {
    private let hasher: PasswordHasher
    private let capacity: Int
    private let inside = Mutex(0)

    /// - Parameter capacity: how many may be inside, the one whose password is being checked among them.
    init(capacity: Int) throws(CryptographyError) {
        self.capacity = capacity
        hasher = try PasswordHasher(concurrency: 1, maximumWaiting: capacity)
    }

    /// Carries out `body` where there is room.
    ///
    /// - Throws: what `body` throws; a `RESOURCE_EXHAUSTED` refusal where there is none, at once.
    func pass<Value>(_ body: (PasswordHasher) async throws -> Value) async throws -> Value {
        let isIn = inside.withLock { inside in
            guard inside < capacity else { return false }
            inside += 1
            return true
        }
        guard isIn else { throw Self.isFull }
        defer { inside.withLock { $0 -= 1 } }
        do {
            return try await body(hasher)
        } catch CryptographyError.tooManyWaiting {
            throw Self.isFull
        }
    }

    private static let isFull = Refusal(.signInsWaiting)
}
