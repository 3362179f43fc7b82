/* Makes of a device's message what the message itself names. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    goclaw_agent_message record;
    goclaw_frame frame;
    int i;
    UNUSED(instance);
    UNUSED(session);
    memset(&record, 0, sizeof record);
    memset(&frame, 0, sizeof frame);
    frame.size = sizeof frame;
    if (zoo_equals(message->id, "not-json")) zoo_message(sink, "{\"a\":");
    if (zoo_equals(message->id, "null-byte")) zoo_message(sink, "\"\\u0000\"");
    if (zoo_equals(message->id, "deep")) {
        char deep[401];
        memset(deep, '[', 200);
        memset(deep + 200, ']', 200);
        deep[400] = 0;
        zoo_message(sink, deep);
    }
    if (zoo_equals(message->id, "flood")) {
        for (i = 0; i < 100000; i++) zoo_message(sink, "{}");
    }
    if (zoo_equals(message->id, "large")) {
        char *large = malloc(3 << 20);
        memset(large, ' ', (3 << 20) - 2);
        large[(3 << 20) - 2] = '1';
        large[(3 << 20) - 1] = 0;
        zoo_message(sink, large);
        free(large);
    }
    if (zoo_equals(message->id, "sizeless")) sink->message(sink, &record);
    if (zoo_equals(message->id, "null-record")) sink->message(sink, NULL);
    if (zoo_equals(message->id, "unaligned"))
        sink->message(sink, (const goclaw_agent_message *)(const void *)((const char *)&record + 1));
    if (zoo_equals(message->id, "event")) {
        frame.event = zoo_text("no event\n");
        frame.payload = zoo_text("{}");
        sink->frame(sink, &frame);
    }
    if (zoo_equals(message->id, "host-event")) {
        frame.event = zoo_text("device.pair.resolved");
        frame.payload = zoo_text("{}");
        sink->frame(sink, &frame);
    }
    if (zoo_equals(message->id, "payload")) {
        frame.event = zoo_text("message");
        frame.payload = zoo_text("[1]");
        sink->frame(sink, &frame);
    }
    if (zoo_equals(message->id, "good")) return zoo_message(sink, "{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\"]}");
    return GOCLAW_OK;
}

ZOO_ENTRY(table->receive = receive)
