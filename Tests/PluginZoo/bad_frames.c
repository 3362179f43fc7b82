/* Makes frames that are none, of what agents say and when a session opens. */
#include "zoo.h"

static goclaw_status put(const goclaw_sink *sink, const char *event, goclaw_text payload)
{
    goclaw_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text(event);
    frame.payload = payload;
    sink->frame(sink, &frame);
    return GOCLAW_OK;
}

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    return put(sink, "Bad Event", zoo_text("{}"));
}

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    return put(sink, "message", message->body);
}

static goclaw_status tick(void *instance, int64_t clock_ms, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(clock_ms);
    UNUSED(sink);
    return 77;
}

ZOO_ENTRY(table->session_opened = session_opened; table->deliver = deliver; table->tick = tick)
