/* Finds its configuration wanting. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    UNUSED(channel);
    UNUSED(host);
    UNUSED(configuration);
    UNUSED(instance);
    sink->reason(sink, zoo_text("invalid_configuration"), zoo_text("visitors is -1, expected 0 or more."));
    return GOCLAW_INVALID;
}

ZOO_ENTRY(table->create = create)
