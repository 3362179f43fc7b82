/* A plugin of version 1.2, built against the header frozen beside it; it has to load and work for ever. */
#include "goclaw_channel.h"
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    static const uint64_t periods[] = {60000};
    goclaw_description description;
    UNUSED(channel);
    memset(&description, 0, sizeof description);
    description.size = sizeof description;
    description.flags = GOCLAW_DESCRIPTION_TYPING;
    description.id = zoo_text("zoo");
    description.display_name = zoo_text("Zoo");
    description.version = zoo_text("1.0.0");
    description.silence_count = 1;
    description.silence_periods_ms = periods;
    return sink->description(sink, &description);
}

/* "never" is never silent, "often" soon, any other as all devices of the channel. */
static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    const uint64_t periods[] = {3000, 6000};
    UNUSED(instance);
    if (sink->size < offsetof(goclaw_sink, silence) + sizeof sink->silence) return GOCLAW_FAILED;
    if (zoo_equals(session->sender_id, "never")) return sink->silence(sink, NULL, 0);
    if (zoo_equals(session->sender_id, "often")) return sink->silence(sink, periods, 2);
    return GOCLAW_OK;
}

/* "read" has read the messages 4 and 5, of which 4 was delivered before; "hidden" and "shown" are what the device is. */
static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->body, "\"read\"")) {
        if (sink->receipt(sink, 4, GOCLAW_RECEIPT_DELIVERED) != GOCLAW_OK) return GOCLAW_FAILED;
        if (sink->receipt(sink, 4, GOCLAW_RECEIPT_READ) != GOCLAW_OK) return GOCLAW_FAILED;
        return sink->receipt(sink, 5, GOCLAW_RECEIPT_READ);
    }
    if (zoo_equals(message->body, "\"hidden\"")) {
        if (sink->ephemeral(sink) != GOCLAW_OK) return GOCLAW_FAILED;
        return sink->background(sink, 1);
    }
    if (zoo_equals(message->body, "\"shown\"")) return sink->background(sink, 0);
    return GOCLAW_OK;
}

ZOO_ENTRY(table->describe = describe; table->session_opened = session_opened; table->receive = receive)
