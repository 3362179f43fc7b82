import Dispatch

/// Hashes and checks passwords, a few at a time, on threads of its own.
///
/// One hash takes ``ScryptParameters/memory`` bytes and a core for a good part of a second, so
/// ``init(parameters:concurrency:maximumWaiting:)`` bounds how many run and how many wait. It never holds
/// one of Swift concurrency's threads.
public actor PasswordHasher {
    /// The cost of new hashes.
    public nonisolated let parameters: ScryptParameters
    private let maximumWaiting: Int
    private let dummy: PasswordHash
    /// Serial queues that have nothing to do. Each has a thread of its own while it works; a concurrent queue
    /// would share the threads of Swift concurrency.
    private var idle: [DispatchQueue]
    private var waiting: [CheckedContinuation<DispatchQueue, Never>] = []

    /// - Parameters:
    ///   - parameters: the cost of new hashes, and of a check for an unknown name.
    ///   - concurrency: how many hashes may run at once: 1 or more.
    ///   - maximumWaiting: how many callers may wait for their turn; more are refused.
    /// - Throws: ``CryptographyError/operationFailed(_:reason:)`` when there is no randomness.
    public init(
        parameters: ScryptParameters = .owasp, concurrency: Int = 2, maximumWaiting: Int = 32
    ) throws(CryptographyError) {
        precondition(concurrency > 0 && maximumWaiting >= 0)
        self.parameters = parameters
        self.maximumWaiting = maximumWaiting
        self.dummy = PasswordHash(
            parameters: parameters, salt: try randomBytes(count: PasswordHash.saltLength),
            key: try randomBytes(count: PasswordHash.keyLength))
        self.idle = (0..<concurrency).map { DispatchQueue(label: "password-hasher-\($0)") }
    }

    /// Hashes a password (its UTF-8 as given; the caller bounds its length).
    ///
    /// - Throws: ``CryptographyError/tooManyWaiting``; ``CryptographyError/operationFailed(_:reason:)`` when
    ///   memory or randomness is missing; `CancellationError` if the task was cancelled before its turn.
    public func hash(_ password: String) async throws -> PasswordHash {
        let parameters = parameters
        return try await perform { try PasswordHash(password: password, parameters: parameters) }
    }

    /// Checks a password against a stored hash.
    ///
    /// - Parameter hash: `nil` for a name that does not exist: takes the time of a real check, so that the
    ///   duration doesn't tell which names exist, and answers `false`.
    /// - Throws: as ``hash(_:)``.
    public func verify(_ password: String, against hash: PasswordHash?) async throws -> Bool {
        let stored = hash ?? dummy
        let matches = try await perform { try stored.matches(password) }
        return matches && hash != nil
    }

    private func perform<Result: Sendable>(
        _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        let queue = try await takeQueue()
        defer { giveBack(queue) }
        try Task.checkCancellation()
        return try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result(catching: work)) }
        }
    }

    private func takeQueue() async throws(CryptographyError) -> DispatchQueue {
        if let queue = idle.popLast() { return queue }
        guard waiting.count < maximumWaiting else { throw .tooManyWaiting }
        return await withCheckedContinuation { waiting.append($0) }
    }

    private func giveBack(_ queue: DispatchQueue) {
        if waiting.isEmpty {
            idle.append(queue)
        } else {
            waiting.removeFirst().resume(returning: queue)
        }
    }
}
