import Metrics

/// What the kernel counts of the pages it answers.
struct PageMetrics: Sendable {
    private let answers = (2...5).map {
        Counter(label: "kernel_answers", dimensions: [("status", "\($0)xx")])
    }
    private let answerTime = Timer(label: "kernel_answer")

    /// A page was answered.
    ///
    /// - Parameter status: 200...599.
    func answered(_ status: Int, in duration: Duration) {
        answers[min(max(status / 100, 2), 5) - 2].increment()
        answerTime.record(duration: duration)
    }
}
