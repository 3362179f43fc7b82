/* Hands on as its own what a sink answers, to data that breaks a rule. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    if (zoo_equals(claim->sender_id, "torn")) return sink->detail(sink, zoo_text("Torn"), zoo_text("\xff\xfe"));
    return GOCLAW_OK;
}

static goclaw_status greet(const goclaw_sink *sink, const char *payload)
{
    goclaw_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    frame.event = zoo_text("message");
    frame.payload = zoo_text(payload);
    return sink->frame(sink, &frame);
}

static goclaw_status opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    UNUSED(instance);
    return greet(sink, zoo_equals(session->sender_id, "torn") ? "no JSON" : "{}");
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->id, "explained")) {
        sink->reason(sink, zoo_text("your_fault"), zoo_text("The message is at fault."));
    }
    return zoo_message(sink, "no JSON");
}

static goclaw_status deliver(
    void *instance, const goclaw_session *session, const goclaw_agent_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    UNUSED(message);
    return greet(sink, "no JSON");
}

ZOO_ENTRY(table->review = review; table->session_opened = opened; table->receive = receive;
          table->deliver = deliver)
