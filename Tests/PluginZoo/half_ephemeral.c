/* Calls a message ephemeral and makes one for an agent of it. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->id, "first")) sink->ephemeral(sink);
    zoo_message(sink, "{}");
    if (!zoo_equals(message->id, "first")) sink->ephemeral(sink);
    return GOCLAW_OK;
}

ZOO_ENTRY(table->receive = receive)
