/* Calls the host of its newest instance, whichever instance is called. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    zoo_host->count(zoo_host, zoo_text("reviews"), 1);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
