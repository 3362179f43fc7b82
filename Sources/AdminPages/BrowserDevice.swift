import FastCGI
import PairingCore
import PairingKernel

/// `/device`: the page that makes a browser a device of the channel `web`.
extension AdminPages {
    /// The page. It is the same for everybody, and asks nobody for anything before a person presses its button.
    func browserDevice(_ visit: Visit) throws(PageFault) -> Answer {
        guard kernel.settings.edition == .standard else { throw PageFault.noChannels }
        let sockets = kernel.settings.origins.dialled(host: visit.request.header("Host") ?? "").map {
            ($0.isSecure ? "wss://" : "ws://") + $0.authority
        }
        var answer = render(.browser, title: "This device", BrowserDevicePage(), visit)
        answer.headers.append(
            PageFault.Header(
                name: "Content-Security-Policy", value: Answer.contentSecurityPolicy(sockets: sockets)))
        return answer
    }
}
