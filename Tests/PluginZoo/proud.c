/* Answers its tickets, and aborts where an answer comes too late. */
#include "zoo.h"
#include <pthread.h>
#include <unistd.h>

static goclaw_status write_answer(void *user, const goclaw_sink *sink)
{
    UNUSED(user);
    return sink->detail(sink, zoo_text("Animal"), zoo_text("proud"));
}

static void *answer(void *ticket)
{
    usleep(2000);
    if (zoo_host->answer(zoo_host, (goclaw_ticket)(size_t)ticket, write_answer, NULL) != GOCLAW_OK) abort();
    return NULL;
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    pthread_t thread;
    goclaw_ticket ticket = sink->later(sink);
    UNUSED(instance);
    UNUSED(claim);
    pthread_create(&thread, NULL, answer, (void *)(size_t)ticket);
    pthread_detach(thread);
    return GOCLAW_LATER;
}

ZOO_ENTRY(table->review = review)
