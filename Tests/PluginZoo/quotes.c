/* Quotes all of a text that it refuses, however long that is. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    static const char member[] = "{\"text\":\"";
    const size_t before = sizeof member - 1;
    goclaw_text reason;
    char *text;
    UNUSED(instance);
    UNUSED(session);
    if (message->body.len < before + 100 || memcmp(message->body.ptr, member, before) != 0)
        return zoo_message(sink, "{}");
    text = malloc(message->body.len + 100);
    reason.ptr = text;
    reason.len = (size_t)sprintf(
        text, "The text %.*s is too long.", (int)(message->body.len - before - 2), message->body.ptr + before);
    sink->reason(sink, zoo_text("too_long"), reason);
    free(text);
    return GOCLAW_INVALID;
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    static const char member[] = "{\"room\":\"";
    if (claim->metadata.len < 4096 || memcmp(claim->metadata.ptr, member, sizeof member - 1) != 0)
        return zoo_review(instance, claim, sink);
    sink->reason(sink, zoo_text("too_long"), claim->metadata);
    return GOCLAW_INVALID;
}

ZOO_ENTRY(table->receive = receive; table->review = review)
