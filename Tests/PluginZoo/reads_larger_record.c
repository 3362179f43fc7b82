/* Reads a member that the host's record does not have. */
#include "zoo.h"

struct later_claim {
    goclaw_claim claim;
    uint64_t added_later;
};

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    const volatile struct later_claim *later = (const struct later_claim *)claim;
    UNUSED(instance);
    return sink->detail(sink, zoo_text("Later"), zoo_text(later->added_later ? "yes" : "no"));
}

ZOO_ENTRY(table->review = review)
