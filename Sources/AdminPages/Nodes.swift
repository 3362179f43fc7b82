import PairingCore
import PairingKernel

/// `/nodes` and what is below it.
extension AdminPages {
    func nodes(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let query = NodesQuery(try visit.query())
        let administration = kernel.administration
        let requests = try await administration.pendingRequests(
            filter: query.filter, after: query.requestsAfter, limit: NodesPage.rowLimit, by: session.authority
        )
        let devices = try await administration.pairedDevices(
            filter: query.filter, after: query.devicesAfter, limit: NodesPage.rowLimit, by: session.authority)
        let counts = try await administration.counts(by: session.authority)
        return render(
            .nodes, title: "Nodes",
            NodesPage(
                query: query, requests: requests, devices: devices, counts: counts, settings: kernel.settings,
                now: now()),
            visit)
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
                let device = try await kernel.administration.approve(
                    id, code: code, from: visit.address, by: session.authority)
                return seeOther(.nodes, saying: Notice(.approved, device.senderID), visit)
            case (.deny, let code) where code != nil || kernel.settings.requiresTypedCode:
                let request = try await kernel.administration.deny(
                    id, code: code, from: visit.address, by: session.authority)
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

    func device(_ senderID: SenderID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        let rows = try await kernel.administration.device(senderID, by: session.authority)
        return render(.device, title: senderID.text, DevicePage(rows: rows, now: now()), visit)
    }

    func revoke(_ senderID: SenderID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await revocationPage(senderID, visit, session) }
        guard let generation = visit.form?["generation"].flatMap(Generation.init) else {
            throw PageFault.staleForm
        }
        do throws(Refusal) {
            let device = try await kernel.administration.revoke(
                senderID, channel: nil, generation: generation, from: visit.address, by: session.authority)
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
            reader: visit.session?.authority.actor.name, problem: problem, now: now())
        let title = verdict == .approve ? "Approve \(row.request.senderID)" : "Deny \(row.request.senderID)"
        return render(.decision, title: title, page, visit, status: status)
    }

    private func revocationPage(
        _ senderID: SenderID, _ visit: Visit, _ session: AdminSession, status: Int = 200,
        problem: String? = nil
    ) async throws -> Answer {
        let rows = try await kernel.administration.device(senderID, by: session.authority)
        guard let newest = rows.first else { throw PageFault.unknownPage }
        return render(
            .revocation, title: "Revoke \(senderID)",
            RevocationPage(
                row: newest, reader: session.authority.actor.name, problem: problem, now: now()),
            visit, status: status)
    }
}
