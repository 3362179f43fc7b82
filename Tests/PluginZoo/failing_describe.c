/* Describes itself and then says that this failed. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    zoo_describe(channel, sink);
    return GOCLAW_FAILED;
}

ZOO_ENTRY(table->describe = describe)
