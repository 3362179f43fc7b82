/* Closes every descriptor it can name. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    int i;
    for (i = 0; i < 1024; i++) close(i);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
