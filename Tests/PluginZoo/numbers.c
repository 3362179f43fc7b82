/* Counts under too many names, under names that are none, and logs without measure. */
#include "zoo.h"
#include <math.h>

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    char name[32];
    int i, kept = 0;
    UNUSED(instance);
    UNUSED(claim);
    for (i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "counter_%d", i);
        kept += zoo_host->count(zoo_host, zoo_text(name), 2) == GOCLAW_OK;
    }
    if (zoo_host->count(zoo_host, zoo_text("Bad Name"), 1) != GOCLAW_INVALID) return GOCLAW_FAILED;
    if (zoo_host->gauge(zoo_host, zoo_text("counter_1"), NAN) != GOCLAW_INVALID) return GOCLAW_FAILED;
    for (i = 0; i < 100000; i++) zoo_host->log(zoo_host, GOCLAW_LOG_DEBUG, zoo_text("chatter"));
    zoo_host->log(zoo_host, 99, zoo_text("of no severity"));
    snprintf(name, sizeof name, "%d", kept);
    return sink->detail(sink, zoo_text("Kept"), zoo_text(name));
}

ZOO_ENTRY(table->review = review)
