/* Changes its table after the host has it. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    static goclaw_channel *own;
    own = own ? own : (goclaw_channel *)instance;
    own->get_extension = NULL;
    own->abi_minor++;
    return zoo_review(instance, claim, sink);
}

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_status status = zoo_create(channel, host, configuration, sink, instance);
    *instance = (void *)(size_t)channel;
    return status;
}

ZOO_ENTRY(table->create = create; table->review = review)
