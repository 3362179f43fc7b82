/* Fails at what a device sends it, in the way that the message's ID names. */
#include "zoo.h"
#include <unistd.h>

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(sink);
    zoo_host->count(zoo_host, zoo_text("opened"), 1);
    return zoo_equals(session->sender_id, "sour") ? GOCLAW_FAILED : GOCLAW_OK;
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(reason);
    zoo_host->count(zoo_host, zoo_text("closed"), 1);
}

static goclaw_status write_late(void *user, const goclaw_sink *sink)
{
    UNUSED(user);
    zoo_message(sink, "no JSON");
    return GOCLAW_FAILED;
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    zoo_host->count(zoo_host, zoo_text("received"), 1);
    if (zoo_equals(message->id, "fail")) return GOCLAW_FAILED;
    if (zoo_equals(message->id, "status")) return 77;
    if (zoo_equals(message->id, "slow")) sleep(4);
    if (zoo_equals(message->id, "sink")) {
        int i;
        for (i = 0; i < 1000; i++) zoo_message(sink, "no JSON");
    }
    if (zoo_equals(message->id, "host")) {
        int i;
        for (i = 0; i < 1000; i++) zoo_host->count(zoo_host, zoo_text("No Name"), 1);
    }
    if (zoo_equals(message->id, "ticket")) {
        zoo_host->answer(zoo_host, sink->later(sink), write_late, NULL);
        return GOCLAW_LATER;
    }
    return GOCLAW_OK;
}

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(message);
    UNUSED(sink);
    zoo_host->count(zoo_host, zoo_text("delivered"), 1);
    return GOCLAW_FAILED;
}

ZOO_ENTRY(table->session_opened = session_opened; table->session_closed = session_closed;
          table->receive = receive; table->deliver = deliver)
