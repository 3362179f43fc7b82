/* What plugin.c shares with the zoo of today: a copy, frozen with it. */
#ifndef ZOO_H
#define ZOO_H

#include <goclaw_channel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNUSED(x) ((void)(x))

static inline goclaw_text zoo_text(const char *text)
{
    goclaw_text borrowed = {text, strlen(text)};
    return borrowed;
}

static inline int zoo_equals(goclaw_text text, const char *other)
{
    return text.len == strlen(other) && (text.len == 0 || memcmp(text.ptr, other, text.len) == 0);
}

/* The host of the newest instance. */
static const goclaw_host *zoo_host;

static inline goclaw_status zoo_describe_as(const goclaw_sink *sink, const char *id, const char *version)
{
    goclaw_description description;
    memset(&description, 0, sizeof description);
    description.size = sizeof description;
    description.id = zoo_text(id);
    description.display_name = zoo_text("Zoo");
    description.version = zoo_text(version);
    return sink->description(sink, &description);
}

static inline goclaw_status zoo_describe(const goclaw_channel *channel, const goclaw_sink *sink)
{
    UNUSED(channel);
    return zoo_describe_as(sink, "zoo", "1.0.0");
}

static inline goclaw_status zoo_create(
    const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
    const goclaw_sink *sink, void **instance)
{
    UNUSED(channel);
    UNUSED(configuration);
    UNUSED(sink);
    zoo_host = host;
    *instance = &zoo_host;
    return GOCLAW_OK;
}

static inline void zoo_destroy(void *instance) { UNUSED(instance); }

static inline goclaw_status zoo_review(void *instance, const goclaw_claim *claim, const goclaw_sink *sink)
{
    UNUSED(instance);
    UNUSED(claim);
    return sink->detail(sink, zoo_text("Animal"), zoo_text("tame"));
}

static inline goclaw_status zoo_message(const goclaw_sink *sink, const char *body)
{
    goclaw_agent_message message;
    memset(&message, 0, sizeof message);
    message.size = sizeof message;
    message.body = zoo_text(body);
    return sink->message(sink, &message);
}

/* Returns the good table, for an entry to spoil. */
static inline goclaw_channel *zoo_table(void)
{
    static goclaw_channel table;
    memset(&table, 0, sizeof table);
    table.size = sizeof table;
    table.abi_major = GOCLAW_ABI_MAJOR;
    table.abi_minor = GOCLAW_ABI_MINOR;
    table.describe = zoo_describe;
    table.create = zoo_create;
    table.destroy = zoo_destroy;
    table.review = zoo_review;
    return &table;
}

/* The entry of a plugin whose table differs from the good one by `spoil`, statements about `table`. */
#define ZOO_ENTRY(spoil)                                                  \
    const goclaw_channel *goclaw_channel_entry(const goclaw_host *host)   \
    {                                                                     \
        goclaw_channel *table = zoo_table();                              \
        UNUSED(host);                                                     \
        spoil;                                                            \
        return table;                                                     \
    }

#endif
