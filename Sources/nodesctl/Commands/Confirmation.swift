/// Has a person confirm something that can't be undone.
///
/// - Parameters:
///   - isGiven: whether the command line confirmed it already.
///   - word: what has to be typed.
/// - Throws: ``CommandFailure`` where it isn't confirmed; nothing was done then.
func confirm(_ isGiven: Bool, typing word: String, _ question: String) throws(CommandFailure) {
    if isGiven { return }
    guard Terminal.isInteractive else {
        throw CommandFailure(.usage, "This can't be undone, and there is no terminal to ask on. Add --yes.")
    }
    guard Terminal.ask(question) == word else {
        throw CommandFailure(.refused, "That isn't \(word); nothing was done.")
    }
}
