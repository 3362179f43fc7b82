/// Who did something. It comes from an authenticated session, never from a parameter (I8).
public enum Actor: Sendable, Hashable {
    /// An administrator signed in on the pages.
    case administrator(String)
    /// An administrator's API token, by its owner and its name.
    case apiToken(owner: String, name: String)
    /// Somebody with the operating system account `name`, at the command line.
    case operatingSystem(String)
    /// Somebody who holds an invitation that an administrator made.
    case invitation(by: String)
    /// The device itself.
    case device
    /// GoClaw Nodes itself, such as when a request expires.
    case system

    /// The kind's word in the event feed.
    public var kind: String {
        switch self {
        case .administrator: "administrator"
        case .apiToken: "api_token"
        case .operatingSystem: "operating_system"
        case .invitation: "invitation"
        case .device: "device"
        case .system: "system"
        }
    }

    /// The name in the event feed and in "paired by".
    public var name: String {
        switch self {
        case .administrator(let name): name
        case .apiToken(let owner, let name): "\(owner) (token \(name))"
        case .operatingSystem(let name): "\(name) (command line)"
        case .invitation(let name): "\(name) (invitation)"
        case .device: "device"
        case .system: "system"
        }
    }
}

/// The names of what happens, as the event feed and `NOTIFY nodes_events` carry them.
public enum EventName: String, Sendable, Hashable, CaseIterable {
    /// A device asked to pair.
    case pairingRequested = "pairing.requested"
    /// An administrator approved; there is a paired device.
    case pairingApproved = "pairing.approved"
    /// An administrator denied.
    case pairingDenied = "pairing.denied"
    /// An administrator approved with a code that is not the request's.
    case pairingCodeRefused = "pairing.code_refused"
    /// Nobody decided in time.
    case pairingExpired = "pairing.expired"
    /// `EventPairingRevoked`: an administrator revoked a paired device; every session of it ends.
    case pairingRevoked = "pairing.revoked"
    /// A second device claimed a sender ID that is taken, and was refused.
    case pairingRivalRefused = "pairing.rival_refused"
    /// Somebody decided when devices may ask to pair.
    case pairingWindowChanged = "pairing.window_changed"
    /// An administrator made an invitation.
    case invitationCreated = "invitation.created"
    /// A device paired with an invitation.
    case invitationUsed = "invitation.used"
    case invitationWithdrawn = "invitation.withdrawn"
    /// An administrator lifted the waiting time after a denial.
    case pairingCooldownCleared = "pairing.cooldown_cleared"
    /// Sessions of a device replace each other again and again: two programs have its credential.
    case deviceContended = "device.contended"
    /// An administrator changed what is said of a device: its label, note, expiry or agents.
    case deviceChanged = "device.changed"
    /// An administrator looked at what a device and its agents said to each other.
    case deviceMessagesRead = "device.messages_read"
    /// A program used one of the tools of `/mcp`.
    case toolCalled = "tool.called"
    /// An agent has a device carry out a command.
    case commandCalled = "command.called"
    /// A command came to its end, whichever.
    case commandEnded = "command.ended"
    case adminCreated = "admin.created"
    /// An account was given another role.
    case adminRoleChanged = "admin.role_changed"
    case adminDisabled = "admin.disabled"
    case adminEnabled = "admin.enabled"
    /// Sessions were ended by somebody who was not in them.
    case adminSessionsEnded = "admin.sessions_ended"
    /// From now on signing in takes a one-time code as well.
    case adminTOTPEnabled = "admin.totp_enabled"
    case adminTOTPDisabled = "admin.totp_disabled"
    /// Somebody may sign in with a passkey from now on.
    case adminPasskeyAdded = "admin.passkey_added"
    case adminPasskeyRenamed = "admin.passkey_renamed"
    case adminPasskeyRemoved = "admin.passkey_removed"
    /// Somebody signed in with a recovery code.
    case adminRecoveryCodeUsed = "admin.recovery_code_used"
    /// Something was tried that the role or scope does not allow, or with a form or session that is none.
    case adminRefused = "admin.refused"
    case adminPasswordChanged = "admin.password_changed"
    /// An operator made an account's failed sign-ins forgotten.
    case adminUnlocked = "admin.unlocked"
    case adminRemoved = "admin.removed"
    case adminSignedIn = "admin.signed_in"
    case adminSignedOut = "admin.signed_out"
    case adminSignInFailed = "admin.sign_in_failed"
    /// The beginning of the event feed was removed.
    case auditTrimmed = "audit.trimmed"
    /// An operator said that the database was taken back to an earlier moment.
    case databaseRestored = "database.restored"
    case webhookAdded = "webhook.added"
    case webhookTested = "webhook.tested"
    case webhookSecretRotated = "webhook.secret_rotated"
    case webhookEnabled = "webhook.enabled"
    /// By somebody, or because it failed for too long.
    case webhookDisabled = "webhook.disabled"
    case webhookRemoved = "webhook.removed"
    case tokenCreated = "token.created"
    case tokenRevoked = "token.revoked"
}

/// The specification's name of the event that a revocation triggers.
public let EventPairingRevoked = EventName.pairingRevoked.rawValue
