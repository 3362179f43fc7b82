/* Uses one name for a counter and for a gauge, both ways. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    if (zoo_host->count(zoo_host, zoo_text("lions"), 2) != GOCLAW_OK) return GOCLAW_FAILED;
    if (zoo_host->gauge(zoo_host, zoo_text("lions"), 9) != GOCLAW_INVALID) return GOCLAW_FAILED;
    if (zoo_host->gauge(zoo_host, zoo_text("lions_total"), 9) != GOCLAW_OK) return GOCLAW_FAILED;
    if (zoo_host->count(zoo_host, zoo_text("lions_total"), 2) != GOCLAW_INVALID) return GOCLAW_FAILED;
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
