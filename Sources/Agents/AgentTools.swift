import PairingCore

/// What an agent may have done while it makes an answer: for now the commands that a device takes.
package struct AgentTools: Sendable, Equatable {
    /// Something that can be done.
    package struct Tool: Sendable, Equatable {
        /// Its name, whatever characters it has.
        package var name: String
        /// What it does, for the model; empty for nothing.
        package var summary: String
        /// What it takes: a JSON Schema of an object.
        package var parameters: JSONValue

        /// Wraps the parts.
        package init(name: String, summary: String, parameters: JSONValue) {
            self.name = name
            self.summary = summary
            self.parameters = parameters
        }
    }

    /// What an agent wants done.
    package struct Call: Sendable, Equatable {
        /// The same where an agent that is asked again wants the same in the same place, and for no other call: 32
        /// hexadecimal digits.
        package var key: String
        /// The name of one of the tools that were offered.
        package var name: String
        /// What it is to take: a JSON object.
        package var arguments: JSONValue
    }

    /// The most times that an agent may want something done before it has to answer.
    package static let maximumRounds = 8

    /// What can be done.
    package var offered: [Tool]
    /// Has it done and says what came of it, in words or JSON for the model. It takes as long as that takes, and ends
    /// early where its task is cancelled.
    package var run: @Sendable (Call) async -> String

    /// Offers tools.
    package init(_ offered: [Tool], run: @escaping @Sendable (Call) async -> String) {
        self.offered = offered
        self.run = run
    }

    /// Whether the same is offered.
    package static func == (one: AgentTools, other: AgentTools) -> Bool { one.offered == other.offered }
}
