/* Cannot be configured, and does not say why. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    UNUSED(channel);
    UNUSED(host);
    UNUSED(configuration);
    UNUSED(sink);
    UNUSED(instance);
    return GOCLAW_FAILED;
}

ZOO_ENTRY(table->create = create)
