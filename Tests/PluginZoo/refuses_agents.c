/* Refuses whatever an agent says, with a reason, unless it is the text "please". */
#include "zoo.h"

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    goclaw_frame frame;
    char payload[64];
    UNUSED(instance);
    UNUSED(session);
    if (!zoo_equals(message->body, "\"please\"")) {
        sink->reason(sink, zoo_text("not_polite"), zoo_text("The agent did not say please."));
        return GOCLAW_INVALID;
    }
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    snprintf(payload, sizeof payload, "{\"messageSeq\":%lld}", (long long)message->number);
    frame.event = zoo_text("message");
    frame.payload = zoo_text(payload);
    return sink->frame(sink, &frame);
}

ZOO_ENTRY(table->deliver = deliver)
