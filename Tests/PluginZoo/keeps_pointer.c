/* Keeps the sender ID's pointer past its call and compares with it in the next one. */
#include "zoo.h"

static goclaw_text kept;

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    int is_again = kept.len == claim->sender_id.len && memcmp(kept.ptr, claim->sender_id.ptr, kept.len) == 0;
    UNUSED(instance);
    kept = claim->sender_id;
    return sink->detail(sink, zoo_text("Again"), zoo_text(is_again ? "yes" : "no"));
}

ZOO_ENTRY(table->review = review)
