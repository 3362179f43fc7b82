import ChannelHost
import Logging
import PairingCore
import PairingStore

extension DeviceSessions {
    /// Tells the other processes, through the database, what this gateway says of its channels.
    ///
    /// Nothing depends on it: what fails is told the next time.
    func publishChannels() async {
        do {
            try await store.publishChannels(
                ChannelsReport(pairing.channels.report).json.text, of: instanceID)
        } catch {
            logger.debug("The channels' state could not be told yet", metadata: ["error": "\(error)"])
        }
    }
}
