import Agents
import ChannelHost
import Logging
import PairingCore
import PairingStore

extension DeviceSessions {
    /// Tells the other processes, through the database, what this gateway says of its channels and its agents.
    ///
    /// Nothing depends on it: what fails is told the next time.
    func publishChannels() async {
        do {
            try await store.publishChannels(report.text, of: instanceID)
        } catch {
            logger.debug(
                "The state of channels and agents could not be told yet", metadata: ["error": "\(error)"])
        }
    }

    /// What it says of its channels, with its agents as one more member.
    private var report: JSONValue {
        let channels = pairing.channels.report.json
        guard case .object(var members) = channels else { return channels }
        members[AgentsReport.member] = AgentsReport(agents).json
        return .object(members)
    }
}
