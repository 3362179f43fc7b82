/* Returns a pointer that cannot be one to a table. */
#include "zoo.h"

const goclaw_channel *goclaw_channel_entry(const goclaw_host *host)
{
    static char memory[sizeof(goclaw_channel) + 16];
    UNUSED(host);
    memcpy(memory + 1, zoo_table(), sizeof(goclaw_channel));
    return (const goclaw_channel *)(const void *)(memory + 1);
}
