import PairingCore
import PairingKernel

/// `/nodes/devices/{senderId}`.
extension AdminPages {
    func device(_ senderID: SenderID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost, let form = visit.form else {
            return try await devicePage(senderID, visit, session)
        }
        // A look at what was said is a form, because it leaves a trace.
        if form["show"] == "text" {
            return try await devicePage(senderID, visit, session, showsText: true)
        }
        guard let generation = form["generation"].flatMap(Generation.init) else { throw PageFault.staleForm }
        let administration = kernel.administration
        do throws(Refusal) {
            guard let device = try await administration.device(senderID, by: session.authority).first?.device
            else { throw .internal }
            _ = try await administration.change(
                senderID, generation: generation,
                DeviceForm.change(form, of: device, kernel.settings.agents),
                from: visit.address, by: session.authority)
            return seeOther(.device(senderID), saying: Notice(.changed, senderID), visit)
        } catch {
            switch error.code {
            case .failedPrecondition, .invalidRequest:
                return try await devicePage(
                    senderID, visit, session, status: error.code == .invalidRequest ? 400 : 409,
                    problem: error.message)
            default: throw error
            }
        }
    }

    private func devicePage(
        _ senderID: SenderID, _ visit: Visit, _ session: AdminSession, showsText: Bool = false,
        status: Int = 200, problem: String? = nil
    ) async throws -> Answer {
        let administration = kernel.administration
        let rows = try await administration.device(senderID, by: session.authority)
        guard let newest = rows.first?.device else { throw PageFault.unknownPage(visit.path) }
        let contention = try await administration.contention(of: senderID, by: session.authority)
        var troubles = SystemTroubles()
        troubles.contentions = contention.map { [$0] } ?? []
        let page = DevicePage(
            rows: rows, alsoPaired: try await otherRole(of: newest, session),
            sight: try await administration.sight(
                of: newest, showsText: showsText, from: visit.address, by: session.authority),
            alerts: TroubleAlerts(troubles, channels: nil, now: now()).items, problem: problem,
            offersText: kernel.settings.showsMessageText, showsText: showsText,
            agents: kernel.settings.agents, now: now())
        return render(.device, title: senderID.text, page, visit, status: status)
    }

    /// As what the same key is paired as well; `nil` where it is not.
    func otherRole(of device: PairedDevice, _ session: AdminSession) async throws -> SenderID? {
        guard let other = device.otherRole else { return nil }
        do throws(Refusal) {
            let newest = try await kernel.administration.device(other, by: session.authority).first?.device
            return newest?.state == .active ? newest?.senderID : nil
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }
}

extension PairedDevice {
    /// The sender ID of the same key in OpenClaw's other role: an operator's and a node's pairings are two.
    fileprivate var otherRole: SenderID? {
        guard channel.text == "openclaw", case .key = credential else { return nil }
        let operators = OpenClawStatement.deviceID(of: senderID)
        return SenderID(operators == senderID.text ? operators + OpenClawStatement.nodeSuffix : operators)
    }
}
