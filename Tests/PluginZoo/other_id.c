/* Is not the channel its manifest says. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    return zoo_describe_as(sink, "circus", "1.0.0");
}

ZOO_ENTRY(table->describe = describe)
