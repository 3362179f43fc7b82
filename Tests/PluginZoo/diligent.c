/* Uses all of the interface as it should be used; what it does is for the tests to see. */
#include "zoo.h"
#include <pthread.h>
#include <unistd.h>

struct instance {
    const goclaw_host *host;
};

struct scratch {
    int messages;
    int is_busy;
};

static goclaw_status create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    goclaw_limits limits;
    struct instance *made = malloc(sizeof *made);
    UNUSED(channel);
    made->host = host;
    *instance = made;
    memset(&limits, 0, sizeof limits);
    limits.size = sizeof limits;
    limits.max_message_bytes = 100;
    limits.messages_per_second = 0.001;
    limits.burst = 40;
    limits.heartbeat_ms = 20000;
    limits.silence_ms = 50000;
    limits.pairing_lifetime_ms = 600000;
    limits.tick_ms = 30;
    if (zoo_equals(configuration, "{\"key\":true}")) limits.flags = GOCLAW_LIMITS_KEY_REQUIRED;
    return sink->limits(sink, &limits);
}

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    goclaw_frame frame;
    const goclaw_host *host = ((struct instance *)instance)->host;
    if (zoo_equals(session->sender_id, "unwelcome")) {
        sink->reason(sink, zoo_text("unwelcome"), zoo_text("You fed the bears."));
        return GOCLAW_FORBIDDEN;
    }
    *session->slot = calloc(1, sizeof(struct scratch));
    host->count(host, zoo_text("opened"), 1);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("welcome");
    frame.payload = zoo_text("{}");
    return sink->frame(sink, &frame);
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    const goclaw_host *host = ((struct instance *)instance)->host;
    if (zoo_equals(reason, "bye")) host->count(host, zoo_text("closed"), 1);
    free(*session->slot);
    *session->slot = NULL;
}

struct promise {
    const goclaw_host *host;
    goclaw_ticket ticket;
    int number;
};

static goclaw_status keep(void *user, const goclaw_sink *sink)
{
    char body[32];
    snprintf(body, sizeof body, "%d", ((struct promise *)user)->number);
    return zoo_message(sink, body);
}

static void *keep_promise(void *user)
{
    struct promise *promise = user;
    usleep(1000);
    promise->host->answer(promise->host, promise->ticket, keep, promise);
    free(promise);
    return NULL;
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    const goclaw_host *host = ((struct instance *)instance)->host;
    struct scratch *scratch = *session->slot;
    char body[32];
    if (scratch->is_busy++) return GOCLAW_FAILED;
    scratch->messages++;
    if (zoo_equals(message->id, "leave"))
        host->close_session(host, session->id, zoo_text("closing time"));
    scratch->is_busy--;
    if (zoo_equals(message->id, "later")) {
        pthread_t thread;
        struct promise *promise = malloc(sizeof *promise);
        promise->host = host;
        promise->ticket = sink->later(sink);
        promise->number = scratch->messages;
        pthread_create(&thread, NULL, keep_promise, promise);
        pthread_detach(thread);
        return GOCLAW_LATER;
    }
    snprintf(body, sizeof body, "%d", scratch->messages);
    return zoo_message(sink, body);
}

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    goclaw_frame frame;
    goclaw_status status;
    const size_t size = message->body.len + 100;
    char *payload = malloc(size);
    UNUSED(instance);
    UNUSED(session);
    snprintf(
        payload, size, "{\"number\":%d,\"body\":%.*s,\"part\":%d}", (int)message->number,
        (int)message->body.len, message->body.ptr,
        message->flags & GOCLAW_MESSAGE_PART ? (int)message->part : -1);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("agent.says");
    frame.payload = zoo_text(payload);
    status = sink->frame(sink, &frame);
    free(payload);
    return status;
}

static goclaw_status tick(void *instance, int64_t clock_ms, const goclaw_sink *sink)
{
    const goclaw_host *host = ((struct instance *)instance)->host;
    UNUSED(sink);
    host->count(host, zoo_text("ticks"), 1);
    return host->gauge(host, zoo_text("clock_behind"), (double)(host->clock_ms(host) - clock_ms));
}

static void destroy(void *instance)
{
    const goclaw_host *host = ((struct instance *)instance)->host;
    host->count(host, zoo_text("destroyed"), 1);
    free(instance);
}

ZOO_ENTRY(table->create = create; table->destroy = destroy; table->session_opened = session_opened;
          table->session_closed = session_closed; table->receive = receive; table->deliver = deliver;
          table->tick = tick)
