/* Tells the administrator a hundred thousand facts. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    char value[16];
    int i;
    UNUSED(instance);
    UNUSED(claim);
    for (i = 0; i < 100000; i++) {
        snprintf(value, sizeof value, "%d", i);
        sink->detail(sink, zoo_text("Fact"), zoo_text(value));
    }
    return GOCLAW_OK;
}

ZOO_ENTRY(table->review = review)
