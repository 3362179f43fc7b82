/* A plugin of version 1.1, built against the header frozen beside it; it has to load and work for ever. */
#include "goclaw_channel.h"
#include "zoo.h"
#include <pthread.h>

#define SESSIONS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t sessions[SESSIONS];

static void replace(uint64_t old, uint64_t new)
{
    int i;
    pthread_mutex_lock(&lock);
    for (i = 0; i < SESSIONS && sessions[i] != old; i++) {}
    if (i < SESSIONS) sessions[i] = new;
    pthread_mutex_unlock(&lock);
}

static goclaw_status describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    static const uint64_t periods[] = {60000, 3600000};
    goclaw_description description;
    UNUSED(channel);
    memset(&description, 0, sizeof description);
    description.size = sizeof description;
    description.id = zoo_text("zoo");
    description.display_name = zoo_text("Zoo");
    description.version = zoo_text("1.0.0");
    description.batch_messages = 10;
    description.batch_ms = 500;
    description.silence_count = 2;
    description.silence_periods_ms = periods;
    description.command_lifetime_ms = 30000;
    description.push_hook = zoo_text("wake_up");
    return sink->description(sink, &description);
}

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.tick_ms = 100;
    sink->limits(sink, &limits);
    return zoo_create(channel, host, configuration, sink, instance);
}

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(sink);
    replace(0, session->id);
    return GOCLAW_OK;
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    UNUSED(instance);
    UNUSED(reason);
    replace(session->id, 0);
}

/* The message {"type":"typing"} is ephemeral and answered with the frame "seen"; any other is the agent's. */
static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    goclaw_agent_message forwarded;
    goclaw_frame frame;
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->body, "{\"type\":\"typing\"}") || zoo_equals(message->body, "{\"type\": \"typing\"}")) {
        if (sink->size < offsetof(goclaw_sink, ephemeral) + sizeof sink->ephemeral) return GOCLAW_FAILED;
        if (sink->ephemeral(sink) != GOCLAW_OK) return GOCLAW_FAILED;
        memset(&frame, 0, sizeof frame);
        frame.size = sizeof frame;
        frame.event = zoo_text("seen");
        frame.payload = zoo_text("{}");
        return sink->frame(sink, &frame) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
    }
    memset(&forwarded, 0, sizeof forwarded);
    forwarded.size = sizeof forwarded;
    forwarded.body = message->body;
    return sink->message(sink, &forwarded) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
}

/* Every session hears each tick, numbered. */
static goclaw_status tick(void *instance, int64_t clock_ms, const goclaw_sink *sink)
{
    static int ticks;
    goclaw_frame frame;
    char payload[64];
    uint64_t open[SESSIONS];
    int i;
    UNUSED(instance);
    UNUSED(clock_ms);
    pthread_mutex_lock(&lock);
    memcpy(open, sessions, sizeof open);
    snprintf(payload, sizeof payload, "{\"tick\":%d}", ++ticks);
    pthread_mutex_unlock(&lock);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("tick");
    frame.payload = zoo_text(payload);
    for (i = 0; i < SESSIONS; i++) {
        goclaw_status taken = open[i] == 0 ? GOCLAW_GONE : sink->frame_to(sink, open[i], &frame);
        if (taken == GOCLAW_OK) zoo_host->count(zoo_host, zoo_text("frames"), 1);
        if (taken != GOCLAW_OK && taken != GOCLAW_GONE && taken != GOCLAW_UNAVAILABLE) return GOCLAW_FAILED;
    }
    if (sink->frame_to(sink, 1000000000, &frame) != GOCLAW_GONE) return GOCLAW_FAILED;
    return GOCLAW_OK;
}

ZOO_ENTRY(table->describe = describe; table->create = create; table->session_opened = session_opened;
          table->session_closed = session_closed; table->receive = receive; table->tick = tick)
