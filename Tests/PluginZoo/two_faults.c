/* Refuses a device without a name, without saying why, and crashes over spaces in metadata. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    int *volatile nothing = NULL;
    if (claim->display_name.len == 0) return GOCLAW_INVALID;
    if (zoo_equals(claim->metadata, " { \n } ")) *nothing = 1;
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
