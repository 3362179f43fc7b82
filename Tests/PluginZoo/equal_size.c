/* Insists on the size that records had when it was built. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    if (claim->size != sizeof *claim) {
        sink->reason(sink, zoo_text("other_size"), zoo_text("The record has another size."));
        return GOCLAW_INVALID;
    }
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
