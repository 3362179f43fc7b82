/* Does not come back from the review of a device called endless. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    if (zoo_equals(claim->sender_id, "endless")) {
        for (;;) pause();
    }
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
