/* Promises an answer without a ticket to give it with. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    UNUSED(sink);
    return GOCLAW_LATER;
}

ZOO_ENTRY(table->review = review)
