/* Asks the host for what is not there. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    if (zoo_host->get_extension(zoo_host, zoo_text("goclaw.telemetry/1")) != NULL) return GOCLAW_FAILED;
    if (zoo_host->close_session(zoo_host, 12345678, zoo_text("")) != GOCLAW_GONE) return GOCLAW_FAILED;
    if (sink->reason(sink, zoo_text("Not A Code"), zoo_text("x")) != GOCLAW_INVALID) return GOCLAW_FAILED;
    return GOCLAW_OK;
}

ZOO_ENTRY(table->review = review)
