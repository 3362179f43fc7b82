/* Keeps a sink past its call and uses it in the next one. */
#include "zoo.h"

static const goclaw_sink *kept;

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    kept = sink;
    return GOCLAW_OK;
}

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    if (kept->detail(kept, zoo_text("Late"), zoo_text("fact")) != GOCLAW_MISPLACED) return GOCLAW_FAILED;
    if (kept != sink && kept->later(kept) != 0) return GOCLAW_FAILED;
    return GOCLAW_OK;
}

ZOO_ENTRY(table->review = review; table->session_opened = session_opened)
