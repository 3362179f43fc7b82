/* Keeps a copy of every message for no use. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    char *copy = malloc(100);
    UNUSED(instance);
    UNUSED(session);
    snprintf(copy, 100, "%d", (int)message->number);
    return zoo_message(sink, copy);
}

ZOO_ENTRY(table->receive = receive)
