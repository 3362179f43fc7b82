/* Says of its devices what makes no sense: each message by itself. */
#include "zoo.h"

static goclaw_status session_opened(void *instance, const goclaw_session *session, const goclaw_sink *sink)
{
    static const uint64_t falling[] = {6000, 3000};
    UNUSED(instance);
    if (zoo_equals(session->sender_id, "falling")) sink->silence(sink, falling, 2);
    return GOCLAW_OK;
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(session);
    if (zoo_equals(message->id, "number")) sink->receipt(sink, 0, GOCLAW_RECEIPT_READ);
    if (zoo_equals(message->id, "state")) sink->receipt(sink, 1, 3);
    if (zoo_equals(message->id, "ephemeral")) {
        sink->ephemeral(sink);
        sink->receipt(sink, 1, GOCLAW_RECEIPT_READ);
    }
    return GOCLAW_OK;
}

ZOO_ENTRY(table->session_opened = session_opened; table->receive = receive)
