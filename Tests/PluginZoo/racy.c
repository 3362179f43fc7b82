/* Makes its answer in a buffer that all threads share. */
#include "zoo.h"
#include <unistd.h>

static char shared[129];

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    memcpy(shared, claim->sender_id.ptr, claim->sender_id.len);
    shared[claim->sender_id.len] = 0;
    usleep(100);
    return sink->detail(sink, zoo_text("Sender"), zoo_text(shared));
}

ZOO_ENTRY(table->review = review)
