/* Can't describe itself, and says why. */
#include "zoo.h"

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    sink->reason(sink, zoo_text("no_name"), zoo_text("The plate of this cage is missing."));
    return GOCLAW_FAILED;
}

ZOO_ENTRY(table->describe = describe)
