/* Takes the sender ID for a string that ends with NUL. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    return sink->detail(sink, zoo_text("Sender"), zoo_text(claim->sender_id.ptr));
}

ZOO_ENTRY(table->review = review)
