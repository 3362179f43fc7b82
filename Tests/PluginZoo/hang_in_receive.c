/* Never comes back from a message that is false. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    while (zoo_equals(message->body, "false")) pause();
    return zoo_message(sink, "{}");
}

ZOO_ENTRY(table->receive = receive)
