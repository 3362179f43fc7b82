/* Does what the message tells it to, and greets a device with its own metadata. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    return zoo_describe_as(sink, "obedient", "1.0.0");
}

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.heartbeat_ms = 1000;
    limits.silence_ms = 10000;
    sink->limits(sink, &limits);
    return zoo_create(channel, host, configuration, sink, instance);
}

static goclaw_status frame_of(const goclaw_sink *sink, const char *event, goclaw_text payload)
{
    goclaw_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text(event);
    frame.payload = payload;
    return sink->frame(sink, &frame);
}

static goclaw_status frame(const goclaw_sink *sink, const char *event, const char *payload)
{
    return frame_of(sink, event, zoo_text(payload));
}

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    if (zoo_equals(session->sender_id, "unwelcome")) {
        sink->reason(sink, zoo_text("unwelcome"), zoo_text("You fed the bears."));
        return GOCLAW_FORBIDDEN;
    }
    zoo_host->count(zoo_host, zoo_text("opened"), 1);
    return frame_of(sink, "welcome", session->metadata.len > 0 ? session->metadata : zoo_text("{}"));
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    char name[64];
    UNUSED(instance);
    UNUSED(session);
    snprintf(name, sizeof name, "closed_%.*s", (int)reason.len, reason.ptr);
    zoo_host->count(zoo_host, zoo_text(name), 1);
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    char body[64];
    UNUSED(instance);
    if (zoo_equals(message->body, "\"refuse\"")) {
        sink->reason(sink, zoo_text("not_tuesday"), zoo_text("Come on Tuesday."));
        return GOCLAW_INVALID;
    }
    if (zoo_equals(message->body, "\"fail\"")) return GOCLAW_FAILED;
    if (zoo_equals(message->body, "\"leave\""))
        zoo_host->close_session(zoo_host, session->id, zoo_text("closing time"));
    if (zoo_equals(message->body, "\"crash\"")) abort();
    while (zoo_equals(message->body, "\"hang\"")) pause();
    frame(sink, "receipt", "{\"ok\":true}");
    if (zoo_equals(message->body, "\"nothing\"")) return GOCLAW_OK;
    if (zoo_equals(message->body, "\"never\"")) return zoo_message(sink, "\"never\"");
    if (zoo_equals(message->body, "\"not now\"")) return zoo_message(sink, "\"not now\"");
    if (zoo_equals(message->body, "\"crash later\"")) return zoo_message(sink, "\"crash\"");
    snprintf(body, sizeof body, "{\"number\":%lld}", (long long)message->number);
    if (zoo_equals(message->body, "\"split\"")) zoo_message(sink, "\"half\"");
    return zoo_message(sink, body);
}

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    char payload[200];
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->body, "\"never\"")) {
        sink->reason(sink, zoo_text("unspeakable"), zoo_text("Not in front of the bears."));
        return GOCLAW_INVALID;
    }
    if (zoo_equals(message->body, "\"not now\"")) return GOCLAW_UNAVAILABLE;
    if (zoo_equals(message->body, "\"crash\"")) abort();
    snprintf(
        payload, sizeof payload, "{\"messageSeq\":%lld,\"id\":\"%.*s\",\"body\":%.*s}", (long long)message->number,
        (int)message->id.len, message->id.ptr, (int)message->body.len, message->body.ptr);
    return frame(sink, "says", payload);
}

ZOO_ENTRY(table->describe = describe; table->create = create; table->session_opened = session_opened;
          table->session_closed = session_closed; table->receive = receive; table->deliver = deliver)
