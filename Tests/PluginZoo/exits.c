/* Ends the process when a device has no name. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    if (claim->display_name.len == 0) exit(0);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
