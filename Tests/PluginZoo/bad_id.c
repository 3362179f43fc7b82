/* Has an ID that is none. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    return zoo_describe_as(sink, "The \x1b[31mZoo", "1.0.0");
}

ZOO_ENTRY(table->describe = describe)
