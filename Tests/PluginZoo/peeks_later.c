/* Has a thread that looks at a message after the call has returned. */
#include "zoo.h"
#include <pthread.h>
#include <unistd.h>

static void *look(void *byte)
{
    usleep(5000);
    return *(volatile const char *)byte == '{' ? byte : NULL;
}

static goclaw_status receive(
    void *instance, const goclaw_session *session, const goclaw_device_message *message,
    const goclaw_sink *sink)
{
    pthread_t thread;
    UNUSED(instance);
    UNUSED(session);
    pthread_create(&thread, NULL, look, (void *)(size_t)message->body.ptr);
    pthread_detach(thread);
    return zoo_message(sink, "{}");
}

ZOO_ENTRY(table->receive = receive)
