/* Takes its time over a device called slow: longer than the test's limit, but not for ever. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    if (zoo_equals(claim->sender_id, "slow")) sleep(4);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
