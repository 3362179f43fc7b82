import ArgumentParser
import PairingCore
import PairingKernel

/// `nodesctl devices set-commands`
struct SetCommandsCommand: OperatorCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-commands", abstract: "Switch commands that a device declares off, and on again.",
        discussion: """
            A command that is switched off is offered to no agent and refused wherever it is called. It stays so when \
            the device is paired anew.
            """)

    @OptionGroup var options: OperatorOptions

    @Argument(help: "The device's sender ID.", transform: readSenderID)
    var sender: SenderID

    @Option(help: "The name of a command that nobody may call from now on; may be given several times.")
    var off: [String] = []

    @Option(help: "The name of a command that may be called again; may be given several times.")
    var on: [String] = []

    func validate() throws {
        guard !off.isEmpty || !on.isEmpty else { throw ValidationError("Give --off or --on with a command.") }
        if let both = off.first(where: on.contains) {
            throw ValidationError("\(both) can't be switched on and off at once.")
        }
    }

    func run(at desk: Desk) async throws {
        let device = try await desk.administration.change(
            sender, DeviceChange(commands: CommandSwitches(on: Set(on), off: Set(off))), by: desk.authority)
        let offered = device.commands.map(\.name).joined(separator: ", ")
        try desk.print(
            .pairing(device),
            (offered.isEmpty ? "\(sender) takes no command." : "\(sender) takes: \(offered).")
                + (device.commandsOff.isEmpty
                    ? "" : " Switched off: \(device.commandsOff.joined(separator: ", "))."))
    }
}
