/* Tells the device what an agent says, and not the number to acknowledge it by. */
#include "zoo.h"

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    goclaw_frame frame;
    UNUSED(instance);
    UNUSED(session);
    UNUSED(message);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("agent.says");
    frame.payload = zoo_text("{\"message\":\"something\"}");
    return sink->frame(sink, &frame);
}

ZOO_ENTRY(table->deliver = deliver)
