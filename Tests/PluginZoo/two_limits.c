/* Asks for limits twice, and for ones that make no sense together. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.heartbeat_ms = 60000;
    limits.silence_ms = 30000;
    sink->limits(sink, &limits);
    sink->limits(sink, &limits);
    return zoo_create(channel, host, configuration, sink, instance);
}

ZOO_ENTRY(table->create = create)
