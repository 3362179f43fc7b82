/* Hands on as its own what the sink answered to limits that no host could keep. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    zoo_create(channel, host, configuration, sink, instance);
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.messages_per_second = -1;
    return sink->limits(sink, &limits);
}

ZOO_ENTRY(table->create = create)
