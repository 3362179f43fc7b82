import NodesProtocol
import PairingCore

// What a device's machine and its driver say to each other.
extension DeviceMachine {
    /// What must survive a restart.
    package struct Progress: Equatable, Sendable {
        /// Whether the server has answered a pairing request of this credential: then the device connects
        /// before it asks again.
        package var hasAsked: Bool
        /// The greatest number of a message that was handed on; a repeat is acknowledged and not shown.
        package var lastMessage: Int64

        package init(hasAsked: Bool = false, lastMessage: Int64 = 0) {
            self.hasAsked = hasAsked
            self.lastMessage = lastMessage
        }
    }

    /// A message of the device.
    package struct Saying: Equatable, Sendable {
        /// The same however often it is sent.
        package var id: String
        /// Any JSON value but null.
        package var message: JSONValue

        package init(id: String, message: JSONValue) {
            self.id = id
            self.message = message
        }
    }

    /// What can happen.
    package enum Event: Equatable, Sendable {
        /// The program starts; once.
        case start
        /// The socket is open.
        case opened
        /// A text frame arrived.
        case text([UInt8])
        /// Anything else arrived, such as a ping.
        case heard
        /// The socket is closed; `code` is `nil` where no close frame came.
        case closed(code: UInt16?, reason: String)
        /// The socket could not be opened.
        case dialFailed(reason: String, retryAfter: Duration?)
        /// The device has something to say.
        case say(Saying)
        /// Time has passed.
        case tick
        /// The program is asked to end.
        case quit
    }

    /// What is to be done.
    package enum Action: Equatable, Sendable {
        /// Open a socket.
        case dial
        /// Send a text frame.
        case send(JSONValue)
        /// Close the socket with a code and forget it.
        case drop(CloseCode)
        /// Make the progress durable before the next action.
        case save(Progress)
        /// Tell the person or program that watches.
        case report(DeviceReport)
        /// It is over; no action follows.
        case stop(DeviceOutcome)
    }
}
