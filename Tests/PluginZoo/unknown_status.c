/* Answers with a number that means nothing. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    UNUSED(sink);
    return 77;
}

ZOO_ENTRY(table->review = review)
