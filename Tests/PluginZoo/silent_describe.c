/* Says that it described itself, and did not. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    UNUSED(sink);
    return GOCLAW_OK;
}

ZOO_ENTRY(table->describe = describe)
