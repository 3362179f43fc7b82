/* Follows a null pointer when the message is null. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    int *volatile nothing = NULL;
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->body, "null")) *nothing = 1;
    return zoo_message(sink, "{}");
}

ZOO_ENTRY(table->receive = receive)
