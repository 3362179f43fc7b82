import PairingCore

/// What a form did, told once by the page after the redirect.
///
/// It travels in a cookie rather than in the address, so that a link can't make a page claim what never
/// happened; and as one of a few words with a sender ID, so that even a forged one can't say anything else.
struct Notice: Equatable, PageModel {
    /// What happened.
    enum Kind: String {
        case approved, denied, revoked, changed
        case waitLifted = "wait-lifted"
        case signedOut = "signed-out"
        case passwordChanged = "password-changed"
        case sessionEnded = "session-ended"
        case codesOn = "codes-on"
        case codesOff = "codes-off"
        case passkeyAdded = "passkey-added"
        case passkeyRemoved = "passkey-removed"
        case passkeysRemoved = "passkeys-removed"
        case accountMade = "account-made"
        case roleChanged = "role-changed"
        case passwordReset = "password-reset"
        case signedOutEverywhere = "signed-out-everywhere"
        case codesReset = "codes-reset"
        case accountDisabled = "account-disabled"
        case accountEnabled = "account-enabled"
        case accountRemoved = "account-removed"
        case windowAlways = "window-always"
        case windowNever = "window-never"
        case windowOpen = "window-open"
        case invitationWithdrawn = "invitation-withdrawn"
        case webhookAdded = "webhook-added"
        case webhookTested = "webhook-tested"
        case webhookRotated = "webhook-rotated"
        case webhookEnabled = "webhook-enabled"
        case webhookDisabled = "webhook-disabled"
        case webhookRemoved = "webhook-removed"

        /// Whether it names a device or an account.
        var hasSubject: Bool {
            switch self {
            case .signedOut, .passwordChanged, .sessionEnded, .codesOn, .codesOff, .passkeyAdded,
                .passkeyRemoved, .windowAlways,
                .windowNever,
                .windowOpen, .invitationWithdrawn, .webhookAdded, .webhookTested, .webhookRotated,
                .webhookEnabled, .webhookDisabled, .webhookRemoved:
                false
            default: true
            }
        }
    }

    var kind: Kind
    /// The device or the account that it happened to: every account's name has the form of a sender ID.
    var senderID: SenderID?

    init(_ kind: Kind, _ senderID: SenderID? = nil) {
        self.kind = kind
        self.senderID = senderID
    }

    /// Reads a cookie's value.
    init?(cookie: String) {
        let parts = cookie.split(separator: "/", omittingEmptySubsequences: false)
        guard let kind = parts.first.flatMap({ Kind(rawValue: String($0)) }) else { return nil }
        switch (kind.hasSubject, parts.count) {
        case (false, 1): self.init(kind)
        case (true, 2):
            guard let senderID = SenderID(String(parts[1])) else { return nil }
            self.init(kind, senderID)
        default: return nil
        }
    }

    /// The cookie's value: neither a kind nor a sender ID contains the slash.
    var cookie: String { senderID.map { "\(kind.rawValue)/\($0)" } ?? kind.rawValue }

    func child(named name: String) -> (any PageValue)? {
        switch name {
        case "subject": senderID?.text
        case "heading":
            switch kind {
            case .approved: "Approved"
            case .denied: "Denied"
            case .revoked: "Revoked"
            case .changed: "Saved"
            case .waitLifted: "Wait lifted"
            case .signedOut: "Signed out"
            case .passwordChanged: "Password changed"
            case .sessionEnded: "Signed out elsewhere"
            case .codesOn: "One-time codes are on"
            case .codesOff: "One-time codes are off"
            case .passkeyAdded: "Passkey added"
            case .passkeyRemoved: "Passkey removed"
            case .passkeysRemoved: "Passkeys removed"
            case .accountMade: "Account made"
            case .roleChanged: "Role changed"
            case .passwordReset: "Password set"
            case .signedOutEverywhere: "Signed out"
            case .codesReset: "One-time codes taken away"
            case .accountDisabled: "Disabled"
            case .accountEnabled: "Enabled"
            case .accountRemoved: "Removed"
            case .windowAlways: "Pairing is open"
            case .windowNever: "Pairing is closed"
            case .windowOpen: "Pairing is open for ten minutes"
            case .invitationWithdrawn: "Withdrawn"
            case .webhookAdded: "Web hook added"
            case .webhookTested: "Test under way"
            case .webhookRotated: "New secret"
            case .webhookEnabled: "Web hook enabled"
            case .webhookDisabled: "Web hook disabled"
            case .webhookRemoved: "Web hook removed"
            }
        case "outcome":
            switch kind {
            case .approved: "is paired. It is told at once if it is waiting, and can connect from now on."
            case .denied: "was told so, and its request is gone."
            case .revoked:
                "is no longer paired. Its sessions end on every instance; to come back it must pair again."
            case .changed: "is as you said. A change of its agents or commands applies to its next message."
            case .waitLifted: "may be asked for again at once."
            case .signedOut: "This browser's session has ended."
            case .passwordChanged: "Your other sessions have ended."
            case .sessionEnded: "What was open there ends within seconds."
            case .codesOn: "Signing in takes a code of your app from now on."
            case .codesOff: "Signing in takes your password alone from now on."
            case .passkeyAdded: "It signs you in from now on."
            case .passkeyRemoved: "It signs nobody in any more."
            case .passkeysRemoved: "signs in with the password, and can add passkeys anew."
            case .accountMade: "can sign in from now on."
            case .roleChanged: "has its new role from now on."
            case .passwordReset: "signs in with the new password; all its sessions have ended."
            case .signedOutEverywhere: "has no session any more."
            case .codesReset: "signs in with the password alone, and can set codes up anew."
            case .accountDisabled: "can't sign in, and its sessions and tokens do nothing any more."
            case .accountEnabled: "can sign in again."
            case .accountRemoved: "is gone, with its sessions and tokens."
            case .windowAlways: "Any device may ask to be paired."
            case .windowNever: "Devices are told so; one that holds an invitation is paired all the same."
            case .windowOpen: "Then it closes by itself."
            case .invitationWithdrawn: "That invitation pairs nothing any more."
            case .webhookAdded: "Give its receiver the secret, which is shown for ten minutes."
            case .webhookTested: "Load the page again in a moment to see what came of it."
            case .webhookRotated: "For a day the one before signs, too."
            case .webhookEnabled: "It is told what happens."
            case .webhookDisabled: "It is told nothing until it is enabled."
            case .webhookRemoved: "Its receiver is told nothing any more."
            }
        default: nil
        }
    }
}
