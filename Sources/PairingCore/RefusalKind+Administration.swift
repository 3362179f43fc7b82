extension RefusalKind {
    package static let passwordsDiffer = RefusalKind(
        .invalidRequest, "passwords_differ",
        "The two new passwords differ; nothing was changed.")

    package static let requestEnded = RefusalKind(
        .notFound, "request_ended",
        "This request is no longer pending. Reload to see its state.")

    package static let noOffer = RefusalKind(
        .failedPrecondition, "no_offer",
        "Nothing waits to be confirmed. Begin again.")

    package static let wrongFirstCode = RefusalKind(
        .failedPrecondition, "wrong_code",
        "This is not the code that the app should show now. See that the phone's clock is right, wait for "
            + "the next code and type that.")

    package static let replayedCode = RefusalKind(
        .unauthorized, "replayed_code",
        "This code was used before. Wait until the app shows the next one.")

    package static let codesUnreadable = RefusalKind(
        .failedPrecondition, "codes_unreadable",
        "What your codes are made of was kept under another key. Use a recovery code, or have an operator "
            + "run nodesctl admin reset-totp.")

    package static let noKey = RefusalKind(
        .failedPrecondition, "no_key",
        "This installation has no key to keep the secrets of one-time codes under. Its operator names one "
            + "in session.key_file.")

    package static let wrongCode = RefusalKind(
        .unauthorized, "wrong_code",
        "The code is wrong. Type the one that the app shows now, or a recovery code.")

    package static let signInEnded = RefusalKind(
        .unauthorized, "sign_in_ended",
        "This sign-in took too long, or was finished. Begin again.")

    package static let unknownSession = RefusalKind(
        .invalidRequest, "unknown_session",
        "There is no session with this identifier.")

    package static let passwordChanged = RefusalKind(
        .failedPrecondition, "password_changed",
        "The password was changed by somebody else meanwhile. Sign in again.")

    package static let wrongPassword = RefusalKind(
        .unauthorized, "wrong_password",
        "The current password is wrong.")

    package static let invalidTokenName = RefusalKind(
        .invalidRequest, "invalid_token_name",
        "This can't be a token's name: expected 1 to 64 visible characters.")

    package static let invalidLifetime = RefusalKind(
        .invalidRequest, "invalid_lifetime",
        "A token can't last that long: expected an hour to 400 days.")

    package static let scopeOfOwner = RefusalKind(
        .failedPrecondition, "scope_of_owner",
        "The owner's tokens may not do that.")

    package static let unknownToken = RefusalKind(
        .notFound, "unknown_token",
        "There is no such token, or it is revoked already. Look at the list of tokens.")

    package static let tooManySignIns = RefusalKind(
        .resourceExhausted, "too_many_sign_ins",
        "Too many sign-ins failed for this account or from this address. Wait, sign in from a browser "
            + "that signed in before, or have an operator let you in: nodesctl admin unlock NAME.",
        retryable: true)

    package static let invalidUsername = RefusalKind(
        .invalidRequest, "invalid_username",
        "This can't be an account's name: expected 1 to 64 characters of a-z, 0-9, dot, underscore, @ and "
            + "dash that begin with a letter or digit.")

    package static let accountExists = RefusalKind(
        .alreadyExists, "account_exists",
        "There is an account of this name already. Choose another name, or change its password.")

    package static let invalidPassword = RefusalKind(
        .invalidRequest, "invalid_password",
        "This can't be a password: expected 12 to 1024 bytes.")

    package static let brokenChain = RefusalKind(
        .failedPrecondition, "broken_chain",
        "The events do not form the chain that they formed.")

    package static let badInvitation = RefusalKind(
        .invalidRequest, "bad_invitation",
        "Expected one or more sender IDs, and a time from a minute to 90 days.")

    package static let unknownInvitation = RefusalKind(
        .notFound, "unknown_invitation",
        "There is no invitation of this ID that was not used or withdrawn.")

    package static let badWindow = RefusalKind(
        .invalidRequest, "bad_window",
        "Expected a time from a minute to a day.")

    package static let channelStuck = RefusalKind(
        .unavailable, "channel_stuck",
        "A channel's plugin does not return. Start this process again.", retryable: true)

    package static let textHidden = RefusalKind(
        .forbidden, "text_hidden",
        "The text of messages is not shown here. Whoever operates the system can change that with "
            + "messages.show_text.")

    package static let badAgents = RefusalKind(
        .invalidRequest, "bad_agents",
        "Choose fewer agents, each of them once.")

    package static let unknownAgent = RefusalKind(
        .invalidRequest, "unknown_agent",
        "There is no agent of this name.")

    package static let gatewaysRunning = RefusalKind(
        .failedPrecondition, "gateways_running",
        "Gateways run on this database. Stop every server first.")

    package static let signInsWaiting = RefusalKind(
        .resourceExhausted, "sign_ins_waiting",
        "Too many passwords are being checked; yours was not looked at. Try again in a few seconds.",
        retryable: true, retryAfter: .seconds(5))

    package static let channelCrashed = RefusalKind(
        .invalidRequest, "channel_crashed",
        "The device's channel crashes on this message each time; it is not tried again.")

    package static let badAddress = RefusalKind(
        .invalidRequest, "bad_address",
        "This is not an address that a web hook can have.")

    package static let addressNotAllowed = RefusalKind(
        .invalidRequest, "address_not_allowed",
        "Web hooks may not be sent to this address.")

    package static let unknownWebhook = RefusalKind(
        .notFound, "unknown_webhook",
        "There is no web hook of this ID. Look at the list.")

    package static let badEvents = RefusalKind(
        .invalidRequest, "bad_events",
        "Expected names of events, such as pairing.approved, or beginnings of names, such as pairing.*.")

    package static let badPushHook = RefusalKind(
        .invalidRequest, "bad_push_hook",
        "Expected the name that a channel gives for its push hook, such as mobile.")

    package static let unknownAccount = RefusalKind(
        .notFound, "unknown_account",
        "There is no such account. Look at the list of accounts.")

    package static let notDue = RefusalKind(
        .failedPrecondition, "not_due",
        "The pairing's time is not over.")

    package static let notWaiting = RefusalKind(
        .notFound, "not_waiting",
        "Nobody was denied this sender ID and still waits; it may be asked for at once.")

    package static let notActive = RefusalKind(
        .notFound, "not_active",
        "No device with this sender ID is paired at the moment.")

    package static let changed = RefusalKind(
        .failedPrecondition, "changed",
        "This device was paired anew since it was shown. Look at the new pairing first.")

    package static let lastAdministrator = RefusalKind(
        .failedPrecondition, "last_administrator",
        "This is the last administrator. Make another one before this one is removed, disabled or given "
            + "another role.")

    package static let webhookDisabled = RefusalKind(
        .failedPrecondition, "webhook_disabled",
        "This web hook is told nothing. Enable it first.")

    package static let tooManyWebhooks = RefusalKind(
        .resourceExhausted, "too_many_webhooks",
        "There are as many web hooks as there can be. Remove one first.")

    package static let pushHookTaken = RefusalKind(
        .alreadyExists, "push_hook_taken",
        "There is a web hook for devices that wait under this name. Remove it first.")

    package static let role = RefusalKind(
        .forbidden, "role",
        "This account's role does not cover this. Ask an administrator to do it, or for another role.")

    package static let wrongPasskey = RefusalKind(
        .unauthorized, "wrong_passkey",
        "This passkey signs nobody in here. Use another one, or your name and password.")

    package static let passkeyCopied = RefusalKind(
        .unauthorized, "passkey_copied",
        "This passkey was used elsewhere meanwhile: there may be a copy of it. Sign in with your "
            + "password and remove it.")

    package static let passkeyTaken = RefusalKind(
        .failedPrecondition, "passkey_taken",
        "This passkey is in use already. Nothing was added.")

    package static let tooManyPasskeys = RefusalKind(
        .failedPrecondition, "too_many_passkeys",
        "The account has as many passkeys as it can have. Remove one first.")

    package static let unknownPasskey = RefusalKind(
        .failedPrecondition, "unknown_passkey",
        "You have no such passkey any more. Nothing was changed.")

    package static let noName = RefusalKind(
        .invalidRequest, "no_name",
        "Give the passkey a name, such as that of its device.")

    package static let passkeyOrigin = RefusalKind(
        .failedPrecondition, "passkey_origin",
        "The passkey was used on a page of another address than this installation's.")

    package static let passkeyUnverified = RefusalKind(
        .failedPrecondition, "passkey_unverified",
        "The device did not check who you are. Set a PIN or a fingerprint up on it first.")

    package static let passkeyChallenge = RefusalKind(
        .failedPrecondition, "passkey_challenge",
        "This took too long, or was done before. Begin again.")

    package static let passkeyUnreadable = RefusalKind(
        .failedPrecondition, "passkey_unreadable",
        "This is no passkey that was asked for. Begin again.")

    package static let noSession = RefusalKind(
        .failedPrecondition, "no_session",
        "Passkeys are added in a browser that is signed in.")

    package static let tooOften = RefusalKind(
        .resourceExhausted, "too_often",
        "This token calls too often. Wait as long as this says.", retryable: true)

    package static let notAcceptable = RefusalKind(
        .invalidRequest, "not_acceptable",
        "Accept: expected application/json among what is listed.")

    package static let undeclaredCommand = RefusalKind(
        .invalidRequest, "unknown_command",
        "The device declares no such command. Look at the commands that it declares.")

    package static let tooManyCommands = RefusalKind(
        .invalidRequest, "too_many_commands",
        "More commands are named than a device can declare.")

    package static let unknownCommand = RefusalKind(
        .notFound, "unknown_command",
        "The device takes no command of this name.")

    package static let listFull = RefusalKind(
        .resourceExhausted, "list_full",
        "The answers to what stands before this in the list are as long as they may be. Ask for it by itself.",
        retryable: true)
}
