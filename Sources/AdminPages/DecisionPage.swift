import PairingCore
import PairingKernel

/// What an administrator is about to decide.
enum Verdict: String {
    case approve, deny

    /// What the request is afterwards.
    var outcome: RequestState { self == .approve ? .approved : .denied }
}

/// The dialog of Approve or Deny: the request, and the form that decides it while it is pending.
struct DecisionPage: PageModel {
    var verdict: Verdict
    var row: PairingAdministration.RequestRow
    /// Whether the approver types what the device shows; then no page shows or carries it.
    var requiresTypedCode: Bool
    /// The administrator who reads it, as decisions are signed.
    var reader: String?
    /// Who may be chosen to answer the device.
    var agents = AgentChoice()
    /// Why the form was not carried out, where it came back.
    var problem: String?
    var now: Timestamp

    private var typesCode: Bool { verdict == .approve && requiresTypedCode }

    private var isReadersOwn: Bool {
        problem == nil && row.request.state != .expired && reader != nil && row.request.decidedBy == reader
    }

    private var commands: [CommandItem] {
        CommandItem.all(
            in: row.request.profile, off: row.commandsOff, isChoice: verdict == .approve)
    }

    func child(named name: String) -> (any PageValue)? {
        let request = row.request
        return switch name {
        case "request": RequestItem(row, showsCode: !requiresTypedCode, now: now)
        case "choosesAgent": verdict == .approve && agents.names.count > 1
        case "agentOptions":
            agentOptions(chosen: row.agents.first, channel: request.channel, agents)
        case "hasCommands": !commands.isEmpty
        case "declaredCommands": commands
        case "switchesCommands":
            verdict == .approve && !DeviceCommand.declared(in: request.profile.metadata).isEmpty
        case "isPending": request.state == .pending
        case "isApproval": verdict == .approve
        case "typesCode": typesCode
        case "sentCode": requiresTypedCode ? nil : request.code.description
        case "action": verdict == .approve ? Route.approve(request.id).path : Route.deny(request.id).path
        case "problem": problem
        case "state": request.state.rawValue
        case "ending": request.state == .expired ? "has expired" : "was \(request.state)"
        case "decidedAt": request.decidedAt.map { TimeItem($0, .moment, now: now) }
        case "decidedBy": request.state == .expired ? nil : request.decidedBy
        case "isReadersOwn": isReadersOwn
        case "pairedDevicePath": request.state == .approved ? Route.device(request.senderID).path : nil
        default: nil
        }
    }
}
