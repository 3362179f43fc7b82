/* Maps memory for every message and leaves it mapped. */
#include "zoo.h"
#include <sys/mman.h>

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    UNUSED(instance);
    UNUSED(session);
    if (copy == MAP_FAILED) return GOCLAW_FAILED;
    snprintf(copy, 4096, "%d", (int)message->number);
    return zoo_message(sink, copy);
}

ZOO_ENTRY(table->receive = receive)
