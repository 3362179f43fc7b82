/* Takes a ticket and forgets it. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    return sink->later(sink) ? GOCLAW_LATER : GOCLAW_FAILED;
}

ZOO_ENTRY(table->review = review)
