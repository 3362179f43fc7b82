import CGoClawChannel
import ChannelHost
import PairingCore

/// What a plugin says of the device itself, since version 1.2 of the interface.

func sinkReceipt(table: UnsafePointer<goclaw_sink>?, number: Int64, receipt: Int32) -> goclaw_status {
    testSink(table)?.put("receipt", into: [.receive]) { output in
        guard !output.isEphemeral else { return .broken("comes of an ephemeral message") }
        guard number > 0 else { return .broken("has the number \(number), expected a message's") }
        guard ChannelReceipt.State(receipt) != nil else {
            return .broken("says \(receipt), expected 1 (delivered) or 2 (read)")
        }
        output.hasReceipt = true
        return .taken
    } ?? misplaced
}

func sinkBackground(table: UnsafePointer<goclaw_sink>?, isBackground: Int32) -> goclaw_status {
    testSink(table)?.put("mark of the background", into: [.receive]) { _ in .taken } ?? misplaced
}

func sinkSilence(
    table: UnsafePointer<goclaw_sink>?, periods: UnsafePointer<UInt64>?, count: UInt32
) -> goclaw_status {
    testSink(table)?.put("record of silence periods", into: [.sessionOpened]) { _ in
        do throws(DeclarationProblem) {
            _ = try ChannelDeclarations.periods(periods, count: count)
            return .taken
        } catch {
            return .broken(error.rule)
        }
    } ?? misplaced
}
