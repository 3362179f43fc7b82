/* Writes one byte beyond what it allocated, which nothing notices but AddressSanitizer. */
#include "zoo.h"

static goclaw_status review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    char *copy = malloc(claim->sender_id.len);
    memcpy(copy, claim->sender_id.ptr, claim->sender_id.len);
    copy[claim->sender_id.len] = 0; /* the overrun */
    zoo_host->count(zoo_host, zoo_text("reviews"), (uint64_t)(copy[0] != 0));
    free(copy);
    return zoo_review(instance, claim, sink);
}

ZOO_ENTRY(table->review = review)
