internal import CGoClawChannel

/// What a call comes to: items at once, written as an array literal, or ``later(_:)``.
public struct Answer<Item: Sendable>: Sendable, ExpressibleByArrayLiteral {
    enum Content: Sendable {
        case now([Item])
        case later(@Sendable (Ticket<Item>) -> Void)
    }

    let content: Content
    /// Whether the device's message is to be stored nowhere and answered by nobody.
    private(set) var isEphemeral = false

    /// The items, where they are there at once.
    public var items: [Item]? {
        guard case .now(let items) = content else { return nil }
        return items
    }

    /// Answers at once.
    public init(arrayLiteral items: Item...) { content = .now(items) }

    private init(content: Content) { self.content = content }

    /// Answers at once.
    public static func now(_ items: [Item]) -> Self { Self(content: .now(items)) }

    /// Answers from any thread, when the work is done; the host answers for a channel that takes too long.
    ///
    /// - Parameter start: called once, before the call returns; it hands the ticket to whoever does the
    ///   work. A `Task` runs on threads that the whole process shares: it must not block.
    public static func later(_ start: @escaping @Sendable (Ticket<Item>) -> Void) -> Self {
        Self(content: .later(start))
    }
}

extension Answer where Item == Output {
    /// Answers a message that is ephemeral, such as a notice of typing: the host stores nothing and asks no agent; the
    /// device gets these frames. A host of ABI 1.0 stores it, and asks no agent either.
    ///
    /// - Parameter isBackground: whether the device is in the background from now on; `nil` where it says nothing of that.
    public static func ephemeral(_ frames: [DeviceFrame] = [], isBackground: Bool? = nil) -> Self {
        var answer = Self.now(frames.map(Output.frame) + (isBackground.map { [.background($0)] } ?? []))
        answer.isEphemeral = true
        return answer
    }
}

/// Stands for a call whose answer comes later. The first answer counts; others do nothing.
public struct Ticket<Item: Sendable>: Sendable {
    let host: Host
    let number: goclaw_ticket
    let write: @Sendable (Item, borrowing Sink) -> Void

    /// Answers the call.
    ///
    /// - Returns: `false` where the call was answered before, by this ticket or by the host for lack of time.
    @discardableResult
    public func answer(_ items: [Item]) -> Bool { settle(.success(items)) }

    /// Refuses what the call was about.
    ///
    /// - Returns: `false` where the call was answered before.
    @discardableResult
    public func refuse(_ refusal: Refusal) -> Bool { settle(.failure(refusal)) }

    private func settle(_ result: Result<[Item], Refusal>) -> Bool {
        host.answer(number) { sink in
            switch result {
            case .success(let items):
                for item in items { write(item, sink) }
                return .ok
            case .failure(let refusal):
                return sink.refuse(refusal)
            }
        }
    }
}
