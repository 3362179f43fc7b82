/* Opens a file for every session and never closes it. */
#include "zoo.h"
#include <fcntl.h>

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(sink);
    return open("/dev/null", O_RDONLY) >= 0 ? GOCLAW_OK : GOCLAW_UNAVAILABLE;
}

ZOO_ENTRY(table->session_opened = session_opened)
