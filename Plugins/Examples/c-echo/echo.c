/* A channel in C11: a device whose sender ID begins with "echo-" may pair, and hears what it says. */
#include <goclaw_channel.h>

#include <stdlib.h>
#include <string.h>

#define PREFIX "echo-"

struct instance {
    const goclaw_host *host;
};

/* Borrows a string. */
static goclaw_text text(const char *string)
{
    goclaw_text borrowed = {string, strlen(string)};
    return borrowed;
}

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    goclaw_description description = {.size = sizeof description};
    (void)channel;
    description.id = text("echo");
    description.display_name = text("Echo");
    description.version = text("1.0.0");
    return sink->description(sink, &description) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
}

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits = {.size = sizeof limits};
    struct instance *made;
    (void)channel;
    if (configuration.len != 2 || memcmp(configuration.ptr, "{}", 2) != 0) {
        sink->reason(
            sink, text("not_configurable"),
            text("The channel echo has nothing to configure; remove it from channels.config."));
        return GOCLAW_INVALID;
    }
    made = malloc(sizeof *made);
    if (made == NULL) return GOCLAW_UNAVAILABLE;
    made->host = host;
    *instance = made;
    limits.pairing_lifetime_ms = 10 * 60 * 1000;
    return sink->limits(sink, &limits) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
}

static void destroy(void *instance) { free(instance); }

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    const struct instance *self = instance;
    const size_t prefix = strlen(PREFIX);
    if (claim->sender_id.len <= prefix || memcmp(claim->sender_id.ptr, PREFIX, prefix) != 0) {
        sink->reason(
            sink, text("invalid_sender_id"),
            text("The senderId of an echo device begins with " PREFIX ", such as " PREFIX "1."));
        return GOCLAW_INVALID;
    }
    sink->detail(
        sink, text("Credential"), text(claim->credential == GOCLAW_CREDENTIAL_KEY ? "key" : "token"));
    if (claim->metadata.len > 0) sink->detail(sink, text("Metadata"), claim->metadata);
    self->host->count(self->host, text("reviews_passed"), 1);
    return GOCLAW_OK;
}

/* Answers the message {"a": 1} with the frame "echo" and its payload {"said": {"a": 1}}. */
static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    static const char start[] = "{\"said\":", end[] = "}";
    const size_t length = sizeof start - 1 + message->body.len + sizeof end - 1;
    goclaw_frame frame = {.size = sizeof frame};
    goclaw_status status;
    char *payload = malloc(length);
    (void)instance;
    (void)session;
    if (payload == NULL) return GOCLAW_UNAVAILABLE;
    memcpy(payload, start, sizeof start - 1);
    memcpy(payload + sizeof start - 1, message->body.ptr, message->body.len);
    memcpy(payload + length - (sizeof end - 1), end, sizeof end - 1);
    frame.event = text("echo");
    frame.payload = (goclaw_text){payload, length};
    /* What the sink answers is no status of this function's own. */
    status = sink->frame(sink, &frame) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
    free(payload);
    return status;
}

const goclaw_channel *goclaw_channel_entry(const goclaw_host *host)
{
    static const goclaw_channel table = {
        .size = sizeof table,
        .abi_major = GOCLAW_ABI_MAJOR,
        .abi_minor = GOCLAW_ABI_MINOR,
        .describe = describe,
        .create = create,
        .destroy = destroy,
        .review = review,
        .receive = receive,
    };
    return host->abi_major == GOCLAW_ABI_MAJOR ? &table : NULL;
}
