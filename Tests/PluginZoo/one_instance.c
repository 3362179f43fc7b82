/* Keeps one state for all of its instances. */
#include "zoo.h"

static char *state;

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    if (!state) state = calloc(1, 1);
    return zoo_create(channel, host, configuration, sink, instance);
}

static void destroy(void *instance)
{
    UNUSED(instance);
    free(state);
    state = NULL;
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    return state ? zoo_review(instance, claim, sink) : GOCLAW_FAILED;
}

ZOO_ENTRY(table->create = create; table->destroy = destroy; table->review = review)
