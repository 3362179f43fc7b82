/* Behaves as if the process were its own. */
#include "zoo.h"
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    signal(SIGTERM, SIG_IGN);
    umask(0777);
    setenv("ZOO", "open", 1);
    if (chdir("/") != 0) return GOCLAW_UNAVAILABLE;
    return zoo_create(channel, host, configuration, sink, instance);
}

ZOO_ENTRY(table->create = create)
