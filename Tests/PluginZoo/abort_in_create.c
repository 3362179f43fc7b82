/* Aborts over a configuration that it does not know. */
#include "zoo.h"

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    if (!zoo_equals(configuration, "{}")) {
        fputs("zoo: what is this?\n", stderr);
        abort();
    }
    return zoo_create(channel, host, configuration, sink, instance);
}

ZOO_ENTRY(table->create = create)
