import Synchronization

/// How many exports run in this process at a time. Each reads a page of rows, rests for as long as that took, and holds
/// nothing but that page: whoever else uses the database shares it with half a connection at most.
final class ExportRoom: Sendable {
    /// The most at a time.
    static let places = 2

    private let taken = Mutex(0)

    /// A place, given back when nobody holds it any more: when the file is whole, or whoever wanted it is gone.
    final class Place: Sendable {
        private let room: ExportRoom

        fileprivate init(_ room: ExportRoom) { self.room = room }

        deinit { room.taken.withLock { $0 -= 1 } }
    }

    /// A place; `nil` where there is none.
    func enter() -> Place? {
        let isFree = taken.withLock { taken in
            guard taken < Self.places else { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}
