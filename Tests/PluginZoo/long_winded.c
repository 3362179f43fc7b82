/* Refuses with reasons that are long, and for "broken" with one that is no text. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    /* U+00E4 two bytes long, after one byte: a cut at an even place is in the middle of a character. */
    static char reason[300002];
    size_t i;
    UNUSED(instance);
    reason[0] = 'x';
    for (i = 1; i + 1 < sizeof reason; i++) reason[i] = i % 2 ? '\xc3' : '\xa4';
    if (zoo_equals(claim->sender_id, "broken")) reason[1] = 'x';
    sink->reason(sink, zoo_text("long"), zoo_text(reason));
    return GOCLAW_INVALID;
}

ZOO_ENTRY(table->review = review)
