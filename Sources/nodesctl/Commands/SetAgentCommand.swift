import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl devices set-agent`
struct SetAgentCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-agent", abstract: "Choose who answers a device, from its next message on.",
        discussion: """
            The first agent answers what names none; a message may name one of the others. --default leaves it to the \
            agent of the device's channel, and then a message may name nobody else.
            """)

    @OptionGroup var options: OperatorOptions

    @Argument(help: "The device's sender ID.", transform: readSenderID)
    var sender: SenderID

    @Argument(help: "The names of agents, as nodesctl agents list shows them.")
    var agents: [String] = []

    @Flag(name: .customLong("default"), help: "Leave it to the agent of the device's channel.")
    var isDefault = false

    func validate() throws {
        guard agents.isEmpty == isDefault else {
            throw ValidationError("Give either the names of agents or --default.")
        }
    }

    func run(at desk: Desk) async throws {
        let device = try await desk.administration.change(
            sender, DeviceChange(agents: agents), by: desk.authority)
        let answered = device.agents.first.map { first in
            let others = device.agents.dropFirst()
            return "\(first) answers \(sender)"
                + (others.isEmpty ? "." : "; its messages may name \(others.joined(separator: ", ")).")
        }
        try desk.print(
            .pairing(device),
            answered
                ?? "\(desk.kernel.settings.agents.defaultAgent(of: device.channel)), the agent of channel \(device.channel), answers \(sender)."
        )
    }
}
