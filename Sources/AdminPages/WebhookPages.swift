import PairingCore
import PairingKernel

/// `/hooks` and what is below it, for administrators.
extension AdminPages {
    func webhooks(_ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await webhooksPage(visit, session) }
        let form = visit.form
        guard let id = form?["id"].flatMap(RequestID.init), let url = form?["url"],
            let told = form?["told"]
        else { throw PageFault.staleForm }
        let events = form?["events"] ?? ""
        do throws(Refusal) {
            try await kernel.webhooks.add(
                id.text, to: url, telling: told == "events" ? .events(events) : .waiting(told),
                from: visit.address, by: session.authority)
        } catch {
            guard [.invalidRequest, .alreadyExists, .failedPrecondition].contains(error.code) else {
                throw error
            }
            return try await webhooksPage(
                visit, session, typed: (url, told, events), problem: error.message,
                status: PageFault(error, changes: false).status)
        }
        return seeOther(.webhook(id), saying: Notice(.webhookAdded), visit)
    }

    private func webhooksPage(
        _ visit: Visit, _ session: AdminSession, typed: (url: String, told: String, events: String)? = nil,
        problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let hooks = try await kernel.webhooks.list(by: session.authority)
        return render(
            .webhooks, title: "Web hooks",
            WebhooksPage(
                hooks: hooks, isAvailable: kernel.webhooks.isAvailable,
                pushHooks: try await kernel.webhooks.pushHooks(by: session.authority),
                newID: try Webhooks.makeID(), typed: typed ?? ("", "events", ""), problem: problem, now: now()
            ),
            visit, status: status)
    }

    func webhook(_ id: RequestID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else { return try await webhookPage(id, visit, session) }
        let (webhooks, address, authority) = (kernel.webhooks, visit.address, session.authority)
        guard let action = visit.form?["action"], ["test", "rotate", "enable", "disable"].contains(action)
        else {
            throw PageFault.staleForm
        }
        let kind: Notice.Kind
        do throws(Refusal) {
            switch action {
            case "test":
                try await webhooks.test(id.text, from: address, by: authority)
                kind = .webhookTested
            case "rotate":
                try await webhooks.rotateSecret(of: id.text, from: address, by: authority)
                kind = .webhookRotated
            case "enable":
                try await webhooks.enable(
                    id.text, skipping: visit.form?["skip"] != nil, from: address, by: authority)
                kind = .webhookEnabled
            default:
                try await webhooks.disable(id.text, from: address, by: authority)
                kind = .webhookDisabled
            }
        } catch {
            guard error.code == .failedPrecondition else { throw error }
            return try await webhookPage(
                id, visit, session, problem: error.message, status: PageFault(error, changes: false).status)
        }
        return seeOther(.webhook(id), saying: Notice(kind), visit)
    }

    private func webhookPage(
        _ id: RequestID, _ visit: Visit, _ session: AdminSession, problem: String? = nil, status: Int = 200
    ) async throws -> Answer {
        let (hook, secret) = try await kernel.webhooks.webhook(id.text, by: session.authority)
        return render(
            .webhook, title: "Web hook",
            WebhookPage(hook: hook, secret: secret, problem: problem, now: now()), visit, status: status)
    }

    func webhookRemoval(_ id: RequestID, _ visit: Visit, _ session: AdminSession) async throws -> Answer {
        guard visit.isPost else {
            let hook = try await kernel.webhooks.webhook(id.text, by: session.authority).hook
            return render(.unhook, title: "Remove a web hook", WebhookPage(hook: hook, now: now()), visit)
        }
        do throws(Refusal) {
            try await kernel.webhooks.remove(id.text, from: visit.address, by: session.authority)
        } catch {
            // The answer to the first time was lost, or somebody else was faster: it is gone.
            guard error.code == .notFound else { throw error }
        }
        return seeOther(.webhooks, saying: Notice(.webhookRemoved), visit)
    }
}

/// What `/hooks` shows.
struct WebhooksPage: PageModel {
    var hooks: [Webhook]
    /// Whether secrets can be kept.
    var isAvailable: Bool
    /// The names that channels give for devices that are away.
    var pushHooks: [String]
    /// What the next one is known by: a form that is sent twice adds one.
    var newID: String
    /// What the form holds.
    var typed: (url: String, told: String, events: String)
    /// Why the form came back.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "hooks": hooks.map { WebhookItem($0, now: now) }
        case "hasHooks": !hooks.isEmpty
        case "keepsSecrets": isAvailable
        case "newHookID": newID
        case "typedURL": typed.url
        case "typedEvents": typed.events
        case "pushHooks": pushHooks.map { ChoiceItem($0, isSelected: $0 == typed.told) }
        case "problem": problem
        default: nil
        }
    }
}

/// What the page of one web hook shows, and the one that removes it.
struct WebhookPage: PageModel {
    var hook: Webhook
    /// Its secret, while it is new.
    var secret: String?
    /// Why a form was not carried out.
    var problem: String?
    var now: Timestamp

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "hook": WebhookItem(hook, now: now)
        case "newSecret": secret
        case "problem": problem
        default: nil
        }
    }
}

/// A web hook.
final class WebhookItem: PageModel {
    private let hook: Webhook
    private let now: Timestamp

    init(_ hook: Webhook, now: Timestamp) {
        self.hook = hook
        self.now = now
    }

    private func moment(_ time: Timestamp?, _ style: TimeItem.Style = .moment) -> TimeItem? {
        time.map { TimeItem($0, style, now: now) }
    }

    func child(named name: String) -> (any PageValue)? {
        let path = RequestID(hook.id)
        return switch name {
        case "hookURL": hook.url
        case "hookPath": path.map { Route.webhook($0).path }
        case "hookRemovalPath": path.map { Route.webhookRemoval($0).path }
        case "hookEvents": hook.events == "*" ? nil : hook.events
        case "tellsEverything": hook.events == "*"
        case "hookPushName": hook.pushHook
        case "isEnabledHook": hook.isEnabled && hook.failingSince == nil
        case "isFailingHook": hook.isEnabled && hook.failingSince != nil
        case "isDisabledHook": hook.state == "disabled"
        case "isDeadHook": hook.state == "failed"
        case "mayBeEnabled": !hook.isEnabled
        case "hookStateSince": moment(hook.stateSince)
        case "hookFailingSince": moment(hook.failingSince)
        case "hookAttempts": String(hook.attempts)
        case "hookNextTry": moment(hook.nextTryAt, .left)
        case "hookAddedAt": moment(hook.createdAt)
        case "hookAddedBy": hook.createdBy
        case "hookDeliveredAt": moment(hook.lastDeliveryAt)
        case "hookError": hook.lastError
        case "hookErrorAt": moment(hook.lastErrorAt)
        case "oldSecretUntil": moment(hook.oldSecretUntil, .left)
        default: nil
        }
    }
}

/// Something to choose.
final class ChoiceItem: PageModel {
    private let text: String
    private let isSelected: Bool

    init(_ text: String, isSelected: Bool) {
        self.text = text
        self.isSelected = isSelected
    }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "choice": text
        case "isSelected": isSelected
        default: nil
        }
    }
}
