/* Says as much as the host takes at every tick; with a device called "failing" each tick fails. */
#include "zoo.h"

static uint64_t listener;
static int fails;

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.tick_ms = 30;
    sink->limits(sink, &limits);
    return zoo_create(channel, host, configuration, sink, instance);
}

static goclaw_status opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(sink);
    if (zoo_equals(session->sender_id, "failing")) __atomic_store_n(&fails, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&listener, session->id, __ATOMIC_RELAXED);
    return GOCLAW_OK;
}

static goclaw_status tick(void *instance, int64_t clock_ms, const goclaw_sink *sink)
{
    const uint64_t session = __atomic_load_n(&listener, __ATOMIC_RELAXED);
    const int failing = __atomic_load_n(&fails, __ATOMIC_RELAXED);
    goclaw_frame frame;
    goclaw_status taken = GOCLAW_OK;
    int count = 0;
    UNUSED(instance);
    UNUSED(clock_ms);
    if (session == 0) return GOCLAW_OK;
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text(failing ? "failure" : "chat");
    frame.payload = zoo_text("{}");
    while (count < 5000 && (taken = sink->frame_to(sink, session, &frame)) == GOCLAW_OK) count++;
    if (taken == GOCLAW_EXHAUSTED) zoo_host->gauge(zoo_host, zoo_text("most_at_once"), count);
    return failing ? GOCLAW_FAILED : GOCLAW_OK;
}

ZOO_ENTRY(table->create = create; table->session_opened = opened; table->tick = tick)
