/* Declares what ASSIGNMENT says, a statement about `description`. */
#include "zoo.h"

#ifndef ASSIGNMENT
#define ASSIGNMENT description.batch_messages = 2
#endif

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    static const uint64_t falling[] = {60000, 60000};
    goclaw_description description;
    UNUSED(channel);
    UNUSED(falling);
    memset(&description, 0, sizeof description);
    description.size = sizeof description;
    description.id = zoo_text("zoo");
    description.display_name = zoo_text("Zoo");
    description.version = zoo_text("1.0.0");
    ASSIGNMENT;
    return sink->description(sink, &description);
}

ZOO_ENTRY(table->describe = describe)
