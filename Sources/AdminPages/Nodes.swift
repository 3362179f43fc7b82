import PairingCore
import PairingKernel

/// `/nodes` and what is below it.
extension AdminPages {
    /// The page, with the session that asks for it: what it shows is read together with that.
    func nodes(_ visit: inout Visit, secret: String) async throws -> Answer {
        do {
            return try await nodes(&visit, NodesQuery(try visit.query()), secret: secret)
        } catch {
            // What is wrong is said in the frame of whoever is signed in.
            if visit.session == nil {
                visit.session = try? await kernel.accounts.session(secret: secret, renews: false)
            }
            throw error
        }
    }

    private func nodes(_ visit: inout Visit, _ query: NodesQuery, secret: String) async throws -> Answer {
        guard
            let (session, overview) = try await kernel.overview(
                secret: secret, renews: !visit.isByItself, filter: query.filter,
                requestsAfter: query.requestsAfter, devicesAfter: query.devicesAfter,
                limit: NodesPage.rowLimit)
        else { return signInFirst(visit) }
        visit.session = session
        let administration = kernel.administration
        let channels = await processReports.view(processName: processName) {
            try await administration.channels(by: session.authority)
        }
        let page = NodesPage(
            query: query, requests: overview.requests, devices: overview.devices, counts: overview.counts,
            isPartial: overview.isPartial, channels: kernel.administration.channelIDs,
            window: overview.window,
            alerts: TroubleAlerts(overview.troubles, channels: channels, now: now()).items,
            settings: kernel.settings, now: now())
        return render(
            .nodes, title: "Nodes", page, visit, pending: overview.counts.pending,
            feedPosition: overview.position)
    }

    func decide(_ verdict: Verdict, _ id: RequestID, _ visit: Visit, _ session: AdminSession) async throws
        -> Answer
    {
        guard visit.isPost else {
            return decisionPage(
                verdict, try await kernel.administration.request(id, by: session.authority), visit)
        }
        let code = visit.form?["code"].flatMap(PairingCode.init)
        do throws(Refusal) {
            switch (verdict, code) {
            case (.approve, let code?):
                var switches = CommandSwitches()
                if visit.form?["commands"] != nil {
                    let row = try await kernel.administration.request(id, by: session.authority)
                    switches = CommandForm.switches(visit.form, of: row.request.profile)
                }
                let device = try await kernel.administration.approve(
                    id, code: code, agents: visit.form?["agent"].map { $0.isEmpty ? [] : [$0] },
                    commands: switches, from: visit.address, by: session.authority)
                return seeOther(.nodes, saying: Notice(.approved, device.senderID), visit)
            case (.deny, let code) where code != nil || kernel.settings.requiresTypedCode:
                let request = try await kernel.administration.deny(
                    id, code: code, because: visit.form?["reason"], from: visit.address,
                    by: session.authority)
                return seeOther(.nodes, saying: Notice(.denied, request.senderID), visit)
            default:
                return decisionPage(
                    verdict, try await kernel.administration.request(id, by: session.authority), visit,
                    status: 400,
                    problem:
                        "A code has eight letters and digits, such as ABCD-2345. Read it again from the device."
                )
            }
        } catch {
            guard error.code == .notFound || error.code == .failedPrecondition else { throw error }
            let row = try await kernel.administration.request(id, by: session.authority)
            // The answer to the first time was lost; the page says when that was.
            if isRepeated(error, by: session), row.request.state == verdict.outcome {
                return .seeOther((visit.route ?? .nodes).path)
            }
            return decisionPage(verdict, row, visit, status: 409, problem: error.message)
        }
    }

    func revoke(_ senderID: SenderID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await revocationPage(senderID, visit, session) }
        guard let generation = visit.form?["generation"].flatMap(Generation.init) else {
            throw PageFault.staleForm
        }
        do throws(Refusal) {
            let device = try await kernel.administration.revoke(
                senderID, channel: nil, generation: generation, because: visit.form?["reason"],
                from: visit.address, by: session.authority)
            return seeOther(.nodes, saying: Notice(.revoked, device.senderID), visit)
        } catch {
            guard error.code == .notFound || error.code == .failedPrecondition else { throw error }
            if isRepeated(error, by: session), error.details["generation"] == .integer(generation.number) {
                return .seeOther(Route.revoke(senderID).path)
            }
            return try await revocationPage(senderID, visit, session, status: 409, problem: error.message)
        }
    }

    /// Whether something was refused because the same administrator has decided it before.
    private func isRepeated(_ refusal: Refusal, by session: AdminSession) -> Bool {
        refusal.details["decidedBy"] == .string(session.authority.actor.name)
    }

    private func decisionPage(
        _ verdict: Verdict, _ row: PairingAdministration.RequestRow, _ visit: Visit, status: Int = 200,
        problem: String? = nil
    ) -> Answer {
        let page = DecisionPage(
            verdict: verdict, row: row, requiresTypedCode: kernel.settings.requiresTypedCode,
            reader: visit.session?.authority.actor.name, agents: kernel.settings.agents, problem: problem,
            now: now())
        let title = verdict == .approve ? "Approve \(row.request.senderID)" : "Deny \(row.request.senderID)"
        return render(.decision, title: title, page, visit, status: status)
    }

    private func revocationPage(
        _ senderID: SenderID, _ visit: Visit, _ session: AdminSession, status: Int = 200,
        problem: String? = nil
    ) async throws -> Answer {
        let rows = try await kernel.administration.device(senderID, by: session.authority)
        guard let newest = rows.first else { throw PageFault.unknownPage(visit.path) }
        return render(
            .revocation, title: "Revoke \(senderID)",
            RevocationPage(
                row: newest, alsoPaired: try await otherRole(of: newest.device, session),
                reader: session.authority.actor.name, problem: problem, now: now()),
            visit, status: status)
    }
}
