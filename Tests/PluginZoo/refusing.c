/* Refuses every device in the way its sender ID asks for. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    if (zoo_equals(claim->sender_id, "silent")) return GOCLAW_INVALID;
    sink->reason(sink, zoo_text("no_entry"), zoo_text("The zoo is closed on Mondays; come on Tuesday."));
    if (zoo_equals(claim->sender_id, "forbidden")) return GOCLAW_FORBIDDEN;
    if (zoo_equals(claim->sender_id, "unavailable")) return GOCLAW_UNAVAILABLE;
    return GOCLAW_INVALID;
}

ZOO_ENTRY(table->review = review)
