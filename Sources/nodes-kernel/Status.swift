import AdminPages
import FastCGI
import PairingCore
import PairingKernel
import PrometheusMetrics

/// What this process says of itself to whoever watches it: `/healthz`, `/readyz` and `/metrics`.
///
/// Only nginx's loopback listener asks: it alone sets `NODES_LISTENER`.
struct Status: Sendable {
    let kernel: Kernel
    let metrics: PrometheusRegistry

    /// - Returns: `nil` for a request of the public listener.
    func respond(to request: FastCGIRequest) async -> FastCGIResponse? {
        guard request.parameters["NODES_LISTENER"] == "status" else { return nil }
        switch request.requestURI {
        case "/healthz": return text(200, "ok")
        case "/readyz":
            do {
                try await kernel.checkReadiness()
                return text(200, "ready")
            } catch {
                return text(503, "not ready: \(error.message)")
            }
        case "/metrics":
            return text(200, metrics.text(), type: PrometheusRegistry.contentType)
        default: return text(404, "There are /healthz, /readyz and /metrics.")
        }
    }

    private func text(
        _ status: Int, _ text: String, type: String = "text/plain; charset=utf-8"
    ) -> FastCGIResponse {
        FastCGIResponse(
            status: status, headers: [("Content-Type", type), ("Cache-Control", "no-store")],
            body: Array((text + "\n").utf8))
    }
}
