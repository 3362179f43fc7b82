/* Every review and every message ends at the same wrong place. */
#include "zoo.h"

static volatile int *nowhere;

static int look(void)
{
    return *nowhere; /* the crash */
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    if (claim->metadata.len > 0 && look() == 17) return GOCLAW_FAILED;
    return zoo_review(instance, claim, sink);
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(message);
    return look() == 17 ? GOCLAW_FAILED : zoo_message(sink, "{}");
}

ZOO_ENTRY(table->review = review; table->receive = receive)
