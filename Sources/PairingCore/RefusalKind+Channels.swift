extension RefusalKind {
    package static let unknownChannel = RefusalKind(
        .notFound, "unknown_channel",
        "There is no such channel here.")

    package static let keyRequired = RefusalKind(
        .invalidRequest, "key_required",
        "The channel's devices need a key: send publicKey and proof instead of a device token.")

    package static let tooManyMessages = RefusalKind(
        .resourceExhausted, "too_many_messages",
        "The channel takes fewer messages a second of a device; wait and send this one again.",
        retryable: true)

    package static let channelFailingHere = RefusalKind(
        .unavailable, "channel_failing_here",
        "The channel failed too often on this device's messages; the server's log says more. Try again "
            + "later.", retryable: true)

    package static let channelNotLoaded = RefusalKind(
        .unavailable, "channel_not_loaded",
        "The channel is not loaded on this instance. Try again later.", retryable: true,
        retryAfter: .seconds(5))

    package static let channelBusy = RefusalKind(
        .unavailable, "channel_busy",
        "The channel has too much to do at the moment. Try again later.",
        retryable: true, retryAfter: .seconds(5))

    package static let channelTimeout = RefusalKind(
        .unavailable, "channel_timeout",
        "The channel did not answer in time. Try again later.",
        retryable: true, retryAfter: .seconds(5))

    package static let channelFailed = RefusalKind(
        .unavailable, "channel_failed",
        "The channel failed to handle this; the server's log says more. Try again later.",
        retryable: true, retryAfter: .seconds(5))

    package static let channelOutOfService = RefusalKind(
        .unavailable, "channel_out_of_service",
        "The channel is out of service; the server's log says more. Try again later.",
        retryable: true, retryAfter: .seconds(5))
}
