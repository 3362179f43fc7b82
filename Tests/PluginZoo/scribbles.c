/* Writes into descriptors that are not its own. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    int i;
    for (i = 3; i < 1024; i++) (void)!write(i, "zoo\n", 4);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
