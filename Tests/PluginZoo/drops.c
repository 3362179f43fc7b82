/* Takes what an agent says, and tells the device nothing. */
#include "zoo.h"

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(message);
    UNUSED(sink);
    return GOCLAW_OK;
}

ZOO_ENTRY(table->deliver = deliver)
