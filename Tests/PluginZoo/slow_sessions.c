/* Takes its time when a device comes, when it goes, and between. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(sink);
    usleep(12 * 1000);
    return GOCLAW_OK;
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(reason);
    usleep(12 * 1000);
}

static goclaw_status tick(void *instance, int64_t clock_ms, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(clock_ms);
    UNUSED(sink);
    usleep(12 * 1000);
    return GOCLAW_OK;
}

ZOO_ENTRY(table->session_opened = session_opened; table->session_closed = session_closed; table->tick = tick)
