/* Answers its ticket before the call returns, and twice more; and one that never was. */
#include "zoo.h"

static goclaw_status write(void *user, const goclaw_sink *sink)
{
    return sink->detail(sink, zoo_text("Answer"), zoo_text((const char *)user));
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    char first[] = "first", second[] = "second";
    goclaw_ticket ticket = sink->later(sink);
    UNUSED(instance);
    UNUSED(claim);
    sink->detail(sink, zoo_text("Before"), zoo_text("kept"));
    if (zoo_host->answer(zoo_host, ticket, write, first) != GOCLAW_OK) return GOCLAW_FAILED;
    if (zoo_host->answer(zoo_host, ticket, write, second) != GOCLAW_GONE) return GOCLAW_FAILED;
    if (zoo_host->answer(zoo_host, 999999, write, second) != GOCLAW_GONE) return GOCLAW_FAILED;
    if (zoo_host->answer(zoo_host, ticket, NULL, NULL) != GOCLAW_INVALID) return GOCLAW_FAILED;
    return GOCLAW_LATER;
}

ZOO_ENTRY(table->review = review)
