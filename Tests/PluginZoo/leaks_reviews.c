/* Forgets to free what a review needed. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    char *copy = malloc(claim->sender_id.len + 1);
    memcpy(copy, claim->sender_id.ptr, claim->sender_id.len);
    copy[claim->sender_id.len] = 0;
    UNUSED(instance);
    return sink->detail(sink, zoo_text("Animal"), zoo_text(copy));
}

ZOO_ENTRY(table->review = review)
