/* Closes a session again and again, until the host says that it is over. */
#include "zoo.h"
#include <unistd.h>

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(reason);
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    int i;
    UNUSED(instance);
    UNUSED(message);
    /* The session's end waits behind this call. */
    for (i = 0; i < 3000; i++) {
        if (zoo_host->close_session(zoo_host, session->id, zoo_text("closing time")) == GOCLAW_GONE)
            return zoo_message(sink, "\"gone\"");
        usleep(1000);
    }
    return zoo_message(sink, "\"still there\"");
}

ZOO_ENTRY(table->session_closed = session_closed; table->receive = receive)
