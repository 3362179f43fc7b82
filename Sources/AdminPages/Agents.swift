import PairingKernel

/// `/agents`.
extension AdminPages {
    func agents(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let gateways = try await kernel.administration.agents(by: session.authority)
        return render(.agents, title: "Agents", AgentsPage(gateways, now: now()), visit)
    }
}
