/* Remembers the IDs of all messages of a session, for as long as that is open. */
#include "zoo.h"

struct seen {
    struct seen *next;
    size_t length;
    char id[128];
};

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    struct seen *seen = *session->slot;
    UNUSED(instance);
    while (seen != NULL && !(seen->length == message->id.len &&
                             (seen->length == 0 || memcmp(seen->id, message->id.ptr, seen->length) == 0)))
        seen = seen->next;
    if (seen == NULL) {
        seen = malloc(sizeof *seen);
        seen->length = message->id.len;
        if (seen->length != 0) memcpy(seen->id, message->id.ptr, seen->length);
        seen->next = *session->slot;
        *session->slot = seen;
    }
    return zoo_message(sink, "{}");
}

static void session_closed(void *instance, const goclaw_session *session, goclaw_text reason)
{
    struct seen *seen = *session->slot;
    UNUSED(instance);
    UNUSED(reason);
    while (seen != NULL) {
        struct seen *next = seen->next;
        free(seen);
        seen = next;
    }
    *session->slot = NULL;
}

ZOO_ENTRY(table->receive = receive; table->session_closed = session_closed)
