extension RefusalKind {
    package static let invalidMetadata = RefusalKind(
        .invalidRequest, "invalid_metadata",
        "The metadata must be a JSON object.")

    package static let messageTooLarge = RefusalKind(
        .invalidRequest, "message_too_large",
        "The message is larger than is accepted.")

    package static let notConnected = RefusalKind(
        .notPaired, "not_connected",
        "Messages need a session: call connect on this socket first.")

    package static let pending = RefusalKind(
        .notPaired, "pending",
        "An administrator has not decided on the pairing request; wait for device.pair.resolved.")

    package static let notADevice = RefusalKind(
        .forbidden, "not_a_device",
        "Only paired devices exchange messages; this socket is an administrator's.")

    package static let administratorNeeded = RefusalKind(
        .unauthorized, "administrator_needed",
        "Only administrators may do this: call connect with an administrator's API token first.")

    package static let notAnAdministrator = RefusalKind(
        .forbidden, "not_an_administrator",
        "Only administrators may do this; this socket is a device's.")

    package static let dialectNotServed = RefusalKind(
        .failedPrecondition, "dialect_not_served",
        "The client speaks a dialect that is not served here.")

    package static let oneRequestASocket = RefusalKind(
        .failedPrecondition, "one_request_a_socket",
        "This socket waits for another pairing request; open a socket for each device.")

    package static let agentFailed = RefusalKind(
        .internal, "agent_failed",
        "No agent answers this message.")

    package static let withdrawn = RefusalKind(
        .failedPrecondition, "withdrawn",
        "The message was given up; to have it answered send it as a new one.")

    package static let answerTimeout = RefusalKind(
        .unavailable, "answer_timeout",
        "The agent took too long to answer.")

    package static let stopping = RefusalKind(
        .unavailable, "stopping",
        "The server is stopping. Try again.", retryable: true, retryAfter: .seconds(1))

    package static let noToken = RefusalKind(
        .unauthorized, "no_token",
        "Expected Authorization: Bearer and a paired device's token, base64url of 32 bytes without "
            + "padding.")

    package static let noRoom = RefusalKind(
        .unavailable, "no_room",
        "There is no room for more. Try again.", retryable: true, retryAfter: .seconds(1))

    package static let tooManyRequests = RefusalKind(
        .resourceExhausted, "too_many_requests",
        "Too many requests of this device are under way. Wait for one of them.", retryable: true,
        retryAfter: .seconds(1))

    package static let bodyTooLarge = RefusalKind(
        .invalidRequest, "body_too_large",
        "The body is too large. Leave earlier messages out: the server knows them.")

    package static let modelNotFound = RefusalKind(
        .notFound, "model_not_found",
        "There is no agent of this name for this device.")

    package static let methodNotAllowed = RefusalKind(
        .invalidRequest, "method_not_allowed",
        "This method is not served here.")

    package static let unknownPath = RefusalKind(
        .notFound, "unknown_path",
        "There is nothing at this path; POST /v1/chat/completions and GET /v1/models are served.")

    package static let badParameter = RefusalKind(
        .invalidRequest, "bad_parameter",
        "A parameter is missing, or not what was expected.")

    package static let notJSON = RefusalKind(
        .invalidRequest, "not_json",
        "This is not acceptable JSON.")

    package static let notAnObject = RefusalKind(
        .invalidRequest, "not_an_object",
        "This is not a JSON object.")

    package static let nul = RefusalKind(
        .invalidRequest, "nul",
        "A string holds NUL (U+0000), which is not accepted.")

    package static let unknownMethod = RefusalKind(
        .invalidRequest, "unknown_method",
        "There is no such method.")

    package static let databaseUnavailable = RefusalKind(
        .unavailable, "database_unavailable",
        "The pairing database cannot be reached. Keep your credential and try again.", retryable: true,
        retryAfter: .seconds(1))

    package static let internalFault = RefusalKind(
        .internal, "internal",
        "The server failed to carry this out; its log has the cause.", retryable: true,
        retryAfter: .seconds(1))

    package static let senderIDTaken = RefusalKind(
        .alreadyExists, "sender_id_taken",
        "Another device holds this sender ID. Choose another one, or ask an administrator to deny or "
            + "revoke the other device.", retryable: true, retryAfter: .seconds(60))

    package static let deniedRecently = RefusalKind(
        .resourceExhausted, "denied_recently",
        "An administrator denied this device's request. Wait before asking again, or ask an operator to "
            + "lift the waiting time.", retryable: true)

    package static let senderIDPaired = RefusalKind(
        .failedPrecondition, "sender_id_paired",
        "This sender ID has an active pairing. Revoke it before approving another.")

    package static let notPaired = RefusalKind(
        .notFound, "not_paired",
        "No device with this sender ID is paired. Look at the list of paired devices.")

    package static let generationChanged = RefusalKind(
        .failedPrecondition, "generation_changed",
        "This device was revoked and paired again since the page was shown. Look at the new pairing "
            + "before you revoke it.")

    package static let codeMismatch = RefusalKind(
        .failedPrecondition, "code_mismatch",
        "The code is not this request's. Compare it with the one on the device.")

    package static let invalidToken = RefusalKind(
        .unauthorized, "invalid_token",
        "This API token is unknown, expired or revoked. Make another one.")

    package static let scope = RefusalKind(
        .forbidden, "scope",
        "This token may not do that.")

    package static let databaseBusy = RefusalKind(
        .unavailable, "database_busy",
        "The pairing database is busy. Try again shortly.", retryable: true, retryAfter: .seconds(1))

    package static let replacedTooOften = RefusalKind(
        .resourceExhausted, "replaced_too_often",
        "Sessions of this device replace each other again and again: another program connects with its "
            + "credential, or this one does so twice. Stop one of them, or have the device revoked and pair it "
            + "anew.", retryable: true)

    package static let liteEdition = RefusalKind(
        .forbidden, "lite_edition",
        "The lite edition has no channels: devices cannot be paired with it.")

    package static let invalidProof = RefusalKind(
        .invalidRequest, "invalid_proof",
        "The signature does not prove the key. Sign "
            + "nodes-v1|pair|<origin>|<channel>|<senderId>|<publicKey>|<signedAt>|<nonce> with the origin you "
            + "dialled and the nonce of this socket.")

    package static let invalidCursor = RefusalKind(
        .invalidRequest, "invalid_cursor",
        "This page of the list does not exist. Start again.")

    package static let unknownCode = RefusalKind(
        .notFound, "unknown_code",
        "There is no request with this code.")

    package static let unknownRequest = RefusalKind(
        .notFound, "unknown_request",
        "There is no such pairing request. Look at the list of those that wait.")

    package static let unknownBearer = RefusalKind(
        .unauthorized, "unknown",
        "No pairing and no request is proven by this token. Send a paired device's token as the bearer; a "
            + "device is paired over the WebSocket.")

    package static let unknown = RefusalKind(
        .notPaired, "unknown",
        "No pairing and no request of this sender ID on this channel is proven by this credential. Ask to "
            + "pair with device.pair.request.")

    package static let alreadyConnected = RefusalKind(
        .failedPrecondition, "already_connected",
        "This socket is authenticated already; open another one to connect as somebody else.")

    package static let expired = RefusalKind(
        .notPaired, "expired",
        "Nobody decided the pairing request in time. Ask again with device.pair.request.")

    package static let tooManyProofs = RefusalKind(
        .resourceExhausted, "too_many_proofs",
        "Too many signatures to check; wait, call device.challenge and sign again.", retryable: true)

    package static let overloaded = RefusalKind(
        .resourceExhausted, "overloaded",
        "The server has too much to do. Try again shortly.", retryable: true, retryAfter: .seconds(1))

    package static let denied = RefusalKind(
        .notPaired, "denied",
        "An administrator denied the pairing request. Ask again with device.pair.request only if the "
            + "device's owner wants that.")

    package static let databaseReadOnly = RefusalKind(
        .unavailable, "database_read_only",
        "The pairing database accepts no changes at the moment: it is a standby, or set to be read-only. "
            + "Keep your credential and try again.", retryable: true, retryAfter: .seconds(1))

    package static let databaseUnprepared = RefusalKind(
        .unavailable, "database_unprepared",
        "The pairing database is not prepared yet. Try again shortly.", retryable: true,
        retryAfter: .seconds(1))

    package static let unknownMessage = RefusalKind(
        .notFound, "unknown_message",
        "There is no message of this identifier, or it is no longer kept.")

    package static let unacknowledged = RefusalKind(
        .resourceExhausted, "unacknowledged",
        "Too many messages wait for this device's message.ack. Acknowledge them before sending more.",
        retryable: true, retryAfter: .seconds(1))

    package static let unacknowledgedBytes = RefusalKind(
        .resourceExhausted, "unacknowledged_bytes",
        "Messages of too many bytes wait for this device's message.ack. Acknowledge them before sending "
            + "more.", retryable: true, retryAfter: .seconds(1))

    package static let agentNotAllowed = RefusalKind(
        .forbidden, "agent_not_allowed",
        "No administrator chose this agent for this device.")

    package static let deviceFull = RefusalKind(
        .resourceExhausted, "device_full",
        "As many messages wait for this device as may: it has not acknowledged them. Try again once it "
            + "has.", retryable: true, retryAfter: .seconds(60))

    package static let unanswered = RefusalKind(
        .resourceExhausted, "unanswered",
        "Too many messages of this device wait for an answer. Wait before sending more.", retryable: true,
        retryAfter: .seconds(5))

    package static let unansweredBytes = RefusalKind(
        .resourceExhausted, "unanswered_bytes",
        "Messages of too many bytes would wait for an answer. Wait before sending more.", retryable: true,
        retryAfter: .seconds(5))

    package static let codeTaken = RefusalKind(
        .invalidRequest, "code_taken",
        "Another request had this code. Choose another one, or send none and use the code in the answer.")

    package static let tokenRevoked = RefusalKind(
        .invalidRequest, "token_revoked",
        "This device token belongs to a revoked pairing. Make a new token and ask again.")

    package static let requestsOfAddress = RefusalKind(
        .resourceExhausted, "requests_of_address",
        "Too many pairing requests from this address wait already. Have them decided, or wait until they "
            + "expire.", retryable: true)

    package static let metadataTooLarge = RefusalKind(
        .invalidRequest, "metadata_too_large",
        "The metadata is larger than is accepted.")

    package static let requestsTotal = RefusalKind(
        .resourceExhausted, "requests_total",
        "Too many pairing requests wait for a decision. Ask an administrator to decide them, and try "
            + "again.", retryable: true)

    package static let invalidInvitation = RefusalKind(
        .forbidden, "invalid_invitation",
        "This invitation is not for this device, was used or withdrawn, or has expired. Ask for another "
            + "one, or ask to pair without one.")

    package static let pairingClosed = RefusalKind(
        .failedPrecondition, "pairing_closed",
        "This server takes no pairing requests at the moment. Have an administrator open it, or get an "
            + "invitation.", retryable: true, retryAfter: .seconds(30))

    package static let revoked = RefusalKind(
        .notPaired, "revoked",
        "An administrator revoked this device. Ask to pair again with device.pair.request.")

    package static let numberTaken = RefusalKind(
        .unavailable, "number_taken",
        "Other messages of this device came in between. Send this one again.", retryable: true,
        retryAfter: .milliseconds(10))

    package static let sessionEnded = RefusalKind(
        .notPaired, "session_ended",
        "This socket is not the device's session any more. Connect again.")

    package static let tooManyWrongCodes = RefusalKind(
        .failedPrecondition, "too_many_wrong_codes",
        "Too many wrong codes were sent for this request. Deny it, and let the device ask again.")

    package static let tooManyWrongCodesOfOne = RefusalKind(
        .resourceExhausted, "too_many_wrong_codes",
        "You sent too many wrong codes. Wait, and read the code from the device.", retryable: true)

    package static let badID = RefusalKind(
        .invalidRequest, "bad_id",
        "id: expected a short string, chosen by the client.")

    package static let unknownType = RefusalKind(
        .invalidRequest, "unknown_type",
        "type: expected \"req\", as clients send only requests.")

    package static let badMethod = RefusalKind(
        .invalidRequest, "bad_method",
        "method: expected a method's name, a string.")

    package static let badParams = RefusalKind(
        .invalidRequest, "bad_params",
        "params: expected an object.")

    package static let nonceMismatch = RefusalKind(
        .unauthorized, "nonce_mismatch",
        "The proof's nonce is not this socket's, or was used before. Call device.challenge on this socket "
            + "and sign the nonce it returns.", retryable: true)

    /// The same where a device asks to pair: there is nobody yet who could be authorised.
    package static let nonceMismatchInClaim = RefusalKind(
        .invalidRequest, "nonce_mismatch", nonceMismatch.text, retryable: true)

    package static let signedAtOutOfRange = RefusalKind(
        .unauthorized, "signed_at_out_of_range",
        "signedAt is too far from the server's time. Sign with the ts that device.challenge returns.",
        retryable: true)

    /// The same where a device asks to pair.
    package static let signedAtOutOfRangeInClaim = RefusalKind(
        .invalidRequest, "signed_at_out_of_range", signedAtOutOfRange.text, retryable: true)

    package static let unknownDevice = RefusalKind(
        .notFound, "unknown_device",
        "No device is paired under this sender ID. Look at the list of paired devices.")

    package static let alreadyApproved = RefusalKind(
        .failedPrecondition, "already_approved",
        "This request was already approved.")

    package static let alreadyDenied = RefusalKind(
        .failedPrecondition, "already_denied",
        "This request was already denied.")

    package static let alreadyExpired = RefusalKind(
        .failedPrecondition, "already_expired",
        "This request expired before it was decided. The device has to ask again.")

    package static let alreadyRevoked = RefusalKind(
        .failedPrecondition, "already_revoked",
        "This device was already revoked.")

    /// Why a decision on a request comes too late; `nil` while it waits for one.
    package static func already(_ state: RequestState) -> RefusalKind? {
        switch state {
        case .pending: nil
        case .approved: .alreadyApproved
        case .denied: .alreadyDenied
        case .expired: .alreadyExpired
        }
    }

    package static let commandSwitchedOff = RefusalKind(
        .failedPrecondition, "command_switched_off",
        "An administrator switched this device's command off.")
}
