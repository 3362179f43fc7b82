/* Breaks a rule with every review. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    UNUSED(sink);
    zoo_host->log(zoo_host, GOCLAW_LOG_PLUGIN_MISBEHAVING, zoo_text("lost a lion"));
    return GOCLAW_FAILED;
}

ZOO_ENTRY(table->review = review)
