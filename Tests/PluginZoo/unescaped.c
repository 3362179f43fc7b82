/* Copies what a text says into JSON of its own, without escaping it. */
#include "zoo.h"

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    const char *start = message->body.ptr, *end = start + message->body.len;
    char body[2048], *to = body + sprintf(body, "{\"said\":\"");
    UNUSED(instance);
    UNUSED(session);
    if (message->body.len < 2 || *start != '"' || message->body.len > 1000) return zoo_message(sink, "null");
    for (start++, end--; start < end; start++) {
        if (*start == '\\' && start[1] != 'u') {
            start++;
            *to++ = *start == 'n' ? '\n' : *start;
        } else {
            *to++ = *start;
        }
    }
    strcpy(to, "\"}");
    return zoo_message(sink, body) == GOCLAW_OK ? GOCLAW_OK : GOCLAW_FAILED;
}

ZOO_ENTRY(table->receive = receive)
