import PairingKernel

/// `/channels`.
extension AdminPages {
    func channels(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let overview = try await kernel.administration.channels(by: session.authority)
        return render(
            .channels, title: "Channels", ChannelsPage(overview, processName: processName, now: now()), visit)
    }
}
