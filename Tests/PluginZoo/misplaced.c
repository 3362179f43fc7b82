/* Puts into a review's sink what does not belong there. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    goclaw_limits limits;
    goclaw_frame frame;
    UNUSED(instance);
    UNUSED(claim);
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    if (sink->limits(sink, &limits) != GOCLAW_MISPLACED) return GOCLAW_FAILED;
    if (zoo_message(sink, "{}") != GOCLAW_MISPLACED) return GOCLAW_FAILED;
    if (sink->frame(sink, &frame) != GOCLAW_MISPLACED) return GOCLAW_FAILED;
    if (zoo_describe_as(sink, "zoo", "1.0.0") != GOCLAW_MISPLACED) return GOCLAW_FAILED;
    return GOCLAW_OK;
}

ZOO_ENTRY(table->review = review)
