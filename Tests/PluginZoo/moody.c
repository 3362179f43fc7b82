/* Says something else about itself every time. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    static int times;
    UNUSED(channel);
    return zoo_describe_as(sink, "zoo", times++ ? "1.0.1" : "1.0.0");
}

ZOO_ENTRY(table->describe = describe)
