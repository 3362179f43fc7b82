/* Asks for limits that make no sense. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.messages_per_second = -1;
    limits.heartbeat_ms = UINT64_MAX;
    sink->limits(sink, &limits);
    return zoo_create(channel, host, configuration, sink, instance);
}

ZOO_ENTRY(table->create = create)
