/* Makes its frames in a buffer that is too short for a long message. */
#include "zoo.h"

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    goclaw_frame frame;
    char payload[200];
    UNUSED(instance);
    UNUSED(session);
    snprintf(payload, sizeof payload, "{\"said\":%.*s}", (int)message->body.len, message->body.ptr);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("agent.says");
    frame.payload = zoo_text(payload);
    return sink->frame(sink, &frame);
}

ZOO_ENTRY(table->deliver = deliver)
