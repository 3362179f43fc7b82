/* Is not the version its manifest says. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    return zoo_describe_as(sink, "zoo", "0.9.0");
}

ZOO_ENTRY(table->describe = describe)
