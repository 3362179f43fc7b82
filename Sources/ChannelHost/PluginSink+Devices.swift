import CGoClawChannel
import PairingCore

/// What a plugin says of the device itself, since version 1.2 of the interface.

extension SinkItem {
    static let receipt = SinkItem(name: "receipt", kinds: [.receive], isData: true)
    static let background = SinkItem(name: "mark of the background", kinds: [.receive], isData: true)
    static let silence = SinkItem(name: "record of silence periods", kinds: [.sessionOpened], isData: true)
}

func sinkReceipt(table: UnsafePointer<goclaw_sink>?, number: Int64, receipt: Int32) -> goclaw_status {
    pluginSink(table)?.put(.receipt) { output in
        guard !output.output.isEphemeral else { return .broken(rule: "comes of an ephemeral message") }
        guard number > 0 else { return .broken(rule: "has the number \(number), expected a message's") }
        guard let state = ChannelReceipt.State(receipt) else {
            return .broken(rule: "says \(receipt), expected 1 (delivered) or 2 (read)")
        }
        guard output.output.receipts.count < CallOutput.maximumItems else { return .full }
        output.output.receipts.append(ChannelReceipt(number: number, state: state))
        return .taken
    } ?? misplaced
}

func sinkBackground(table: UnsafePointer<goclaw_sink>?, isBackground: Int32) -> goclaw_status {
    pluginSink(table)?.put(.background) { output in
        output.output.background = isBackground != 0
        return .taken
    } ?? misplaced
}

func sinkSilence(
    table: UnsafePointer<goclaw_sink>?, periods: UnsafePointer<UInt64>?, count: UInt32
) -> goclaw_status {
    pluginSink(table)?.put(.silence) { output in
        do throws(DeclarationProblem) {
            output.silence = try ChannelDeclarations.periods(periods, count: count)
            return .taken
        } catch {
            return .broken(rule: error.rule)
        }
    } ?? misplaced
}

extension ChannelReceipt.State {
    /// - Returns: `nil` for what is no `GOCLAW_RECEIPT_…`.
    package init?(_ receipt: Int32) {
        switch Int(receipt) {
        case GOCLAW_RECEIPT_DELIVERED: self = .delivered
        case GOCLAW_RECEIPT_READ: self = .read
        default: return nil
        }
    }
}
