/* Uses a call's sink from another thread. */
#include "zoo.h"
#include <pthread.h>

static goclaw_status answer;

static void *use(void *sink)
{
    const goclaw_sink *borrowed = sink;
    answer = borrowed->detail(borrowed, zoo_text("From"), zoo_text("elsewhere"));
    if (borrowed->later(borrowed) != 0) answer = GOCLAW_OK;
    return NULL;
}

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    pthread_t thread;
    UNUSED(instance);
    UNUSED(claim);
    pthread_create(&thread, NULL, use, (void *)(size_t)sink);
    pthread_join(thread, NULL);
    return answer == GOCLAW_MISPLACED ? GOCLAW_OK : GOCLAW_FAILED;
}

ZOO_ENTRY(table->review = review)
