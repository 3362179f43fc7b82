/* Takes its time with every review. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    usleep(12 * 1000);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
