/* Remembers for ever every device that it was asked about. */
#include "zoo.h"
#include <pthread.h>

struct device {
    struct device *next;
    size_t length;
    char id[128];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    struct device *device;
    pthread_mutex_lock(&lock);
    for (device = devices; device != NULL; device = device->next)
        if (device->length == claim->sender_id.len &&
            memcmp(device->id, claim->sender_id.ptr, device->length) == 0)
            break;
    if (device == NULL) {
        device = malloc(sizeof *device);
        device->length = claim->sender_id.len;
        memcpy(device->id, claim->sender_id.ptr, device->length);
        device->next = devices;
        devices = device;
    }
    pthread_mutex_unlock(&lock);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
