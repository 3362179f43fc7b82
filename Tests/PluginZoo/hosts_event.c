/* Speaks to the device as if it were the host. */
#include "zoo.h"

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    goclaw_frame frame;
    UNUSED(instance);
    UNUSED(session);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("device.pair.resolved");
    frame.payload = zoo_text("{}");
    return sink->frame(sink, &frame);
}

ZOO_ENTRY(table->session_opened = session_opened)
