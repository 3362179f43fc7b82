/*
 * goclaw_channel.h: the interface between a GoClaw Nodes process (the host) and a channel (the plugin).
 *
 * Changes of the ABI, one dated line each. A change raises GOCLAW_ABI_MINOR and only adds: a member at
 * the end of a table or record, a constant, a function's new permitted value. Nothing is removed, moved
 * or given another meaning; that would be another GOCLAW_ABI_MAJOR and another host.
 *
 *   2026-11-22  1.0  The first version.
 *   2026-11-27  1.1  At the ends: goclaw_sink.ephemeral and goclaw_sink.frame_to; in goclaw_description what
 *                    the host is asked to keep: batch_messages to push_hook.
 *   2026-11-27       Hosts act on what they are asked to keep.
 *   2026-11-27  1.2  At the end of goclaw_sink: receipt, background and silence; GOCLAW_RECEIPT_… for the
 *                    first; GOCLAW_DESCRIPTION_TYPING, the first bit of goclaw_description.flags.
 *
 * HOW IT FITS TOGETHER
 *
 * A channel is one shared library that exports one function, goclaw_channel_entry. The host calls it with
 * its table, goclaw_host, and receives the plugin's, goclaw_channel. It asks the plugin to describe
 * itself, creates one instance from the operator's configuration, and from then on calls the instance:
 * review for every pairing request, session_opened and session_closed around every live connection of a
 * paired device, receive for what a device says, deliver for what an agent says, tick as time passes.
 *
 * A plugin keeps no state that matters: any process may die at any instant, and a device's next connection
 * may be to another one. What must last, the host stores.
 *
 * A library is never unloaded. Static storage of the plugin lives as long as the process.
 *
 * TABLES, RECORDS AND VERSIONS
 *
 * A table (functions) starts with size, abi_major, abi_minor; a record (data) starts with size. Whoever
 * fills one sets size to its own sizeof; whoever reads one reads no further than that size, and takes a
 * member beyond it as zero. So a plugin built with an older or newer minor version keeps working, and a
 * plugin that wants a newer host function looks at goclaw_host.size first. Members called flags have
 * every bit zero that this header does not name.
 *
 * A function's first argument is the table it was found in, or the instance; context is for the owner of
 * the table alone. A function pointer is null where the comment says "Optional".
 *
 * Abilities that not every host or plugin has are extensions: get_extension, which both sides have, takes
 * an ID with the revision in it, such as "goclaw.telemetry/1", and returns a table of the kind described
 * here, or null where there is none. An ID never changes its meaning; a new revision is a new ID.
 *
 * OWNERSHIP: one rule
 *
 * Arguments are borrowed for the duration of the call; keep a copy, not the pointer. Results go out
 * through the sink that the host passes in, which copies. Nobody frees the other's memory.
 * The exceptions are named in the comments: tables, which live as long as the process, the instance and
 * the slot, which are the plugin's.
 *
 * THREADS: the words of the "Threads:" lines
 *
 *   alone        No other call into this plugin runs at the same time.
 *   parallel     Several of these calls run at the same time, on several threads.
 *   per session  Calls for one session come one after the other, in order, not always on the same thread;
 *                different sessions run in parallel. A call whose answer comes later counts as running
 *                until it is answered or its time is up.
 *   any          Any thread, at any time from goclaw_channel_entry to the end of the process.
 *   in the call  Only the thread that runs the call to which the sink was passed, until that call returns.
 *
 * Calls come on threads that belong to this channel: they may block, within the time the host allows
 * (five seconds unless the operator says otherwise), but there are only a few of them. Slow work takes a
 * ticket (goclaw_sink.later) and answers from a thread of the plugin's own. A call that is out of time is
 * answered by the host, with GOCLAW_UNAVAILABLE; it must still return, as its thread stays occupied.
 * No exception, unwinding or longjmp may cross any of these functions.
 */
#ifndef GOCLAW_CHANNEL_H
#define GOCLAW_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GOCLAW_ABI_MAJOR 1
#define GOCLAW_ABI_MINOR 2

/* UTF-8, not terminated by NUL. ptr may be null only where len is 0. */
typedef struct goclaw_text {
    const char *ptr;
    size_t len;
} goclaw_text;

/* How a call ended. A value that this header does not name counts as GOCLAW_FAILED. */
typedef int32_t goclaw_status;
enum {
    GOCLAW_OK = 0,
    GOCLAW_INVALID = 1,     /* The device's input, or an argument, breaks a rule. */
    GOCLAW_FORBIDDEN = 2,   /* Well-formed, but this device may not. */
    GOCLAW_UNAVAILABLE = 3, /* Not now; the same call can succeed later. */
    GOCLAW_LATER = 4,       /* A ticket was taken; goclaw_host.answer brings the answer. */
    GOCLAW_FAILED = 5,      /* The callee's own fault. */
    GOCLAW_EXHAUSTED = 6,   /* From the host: a bound is reached; this was not taken. */
    GOCLAW_GONE = 7,        /* From the host: that session or ticket is over or never was. */
    GOCLAW_MISPLACED = 8    /* From the host: not in this call, not on this thread, or not any more. */
};

/* How much a line of the log matters. The last two say whose fault it is; the host counts the last. */
enum {
    GOCLAW_LOG_DEBUG = 0,
    GOCLAW_LOG_INFO = 1,
    GOCLAW_LOG_NOTICE = 2,
    GOCLAW_LOG_WARNING = 3,
    GOCLAW_LOG_ERROR = 4,
    GOCLAW_LOG_HOST_MISBEHAVING = 5,
    GOCLAW_LOG_PLUGIN_MISBEHAVING = 6
};

/* With what a device proves who it is. */
enum {
    GOCLAW_CREDENTIAL_TOKEN = 0, /* A bare token. */
    GOCLAW_CREDENTIAL_KEY = 1    /* An Ed25519 key, whose possession it proved. */
};

/* Bits of goclaw_description.flags. */
enum {
    GOCLAW_DESCRIPTION_TYPING = 1 /* Since 1.2. When an agent begins to answer a message, its device, where it is
                                   * connected, gets the host's event "typing". */
};

/* Bits of goclaw_limits.flags. */
enum {
    GOCLAW_LIMITS_KEY_REQUIRED = 1 /* The host refuses a device with a bare token before review. */
};

/* Bits of goclaw_agent_message.flags. */
enum {
    GOCLAW_MESSAGE_PART = 1, /* One of several parts of the message; part says which. */
    GOCLAW_MESSAGE_LAST = 2  /* With GOCLAW_MESSAGE_PART: the last one. */
};

/* What a device says of a message of an agent; since 1.2. */
enum {
    GOCLAW_RECEIPT_DELIVERED = 1, /* It has reached the device, as the device sees it. */
    GOCLAW_RECEIPT_READ = 2       /* Its user has read it. */
};

/* ---- Records ---- */

/* What a plugin says about itself; it does not depend on the configuration. */
typedef struct goclaw_description {
    uint32_t size;
    uint32_t flags;           /* GOCLAW_DESCRIPTION_… */
    goclaw_text id;           /* [a-z][a-z0-9_-]{0,31}; the same as in the manifest. */
    goclaw_text display_name; /* For administrators; up to 64 characters. */
    goclaw_text version;      /* The plugin's own, such as "1.4.0"; the same as in the manifest. */

    /* Since 1.1: what the channel asks the host to keep for it, as a plugin keeps no state that matters. A
     * zero or empty member asks for nothing. A host of 1.1 checks these members, refuses a plugin whose
     * values make no sense, keeps them with the channel's description and shows them to the operator. The
     * first hosts of 1.1 acted on none of them; this one acts on all. */
    uint32_t batch_messages;     /* The most messages of a device that an agent is given at once, up to 1,000. */
    uint32_t silence_count;      /* How many silence_periods_ms there are, up to 8. */
    uint64_t batch_ms;           /* How long the first message of a batch waits for others, up to a day; it
                                  * needs batch_messages. */
    const uint64_t *silence_periods_ms; /* After how long without a message of a device its agent
                                         * is told, each greater than the one before, up to a year. */
    uint64_t command_lifetime_ms; /* How long an agent's message is worth delivering, up to a year. */
    goclaw_text push_hook;        /* The name, [a-z][a-z0-9_]{0,63}, of the operator's hook that is to be
                                   * called when there is something for a device that is not connected. */
} goclaw_description;

/* What the host enforces for this channel. Zero everywhere means the host's own defaults, which also
 * bound what is asked for here. */
typedef struct goclaw_limits {
    uint32_t size;
    uint32_t flags;                /* GOCLAW_LIMITS_… */
    uint32_t max_message_bytes;    /* Of a device's message. */
    uint32_t burst;                /* Messages a device may send at once after a pause. */
    double messages_per_second;    /* Sustained, of one device. */
    uint64_t heartbeat_ms;         /* Between the host's pings. */
    uint64_t silence_ms;           /* Without a byte from the device, after which its session is closed. */
    uint64_t pairing_lifetime_ms;  /* Of a request that nobody decides. */
    uint64_t tick_ms;              /* Between calls of tick; zero: tick is never called. */
} goclaw_limits;

/* A device's request to pair. */
typedef struct goclaw_claim {
    uint32_t size;
    uint32_t credential;      /* GOCLAW_CREDENTIAL_… */
    goclaw_text sender_id;    /* [A-Za-z0-9][A-Za-z0-9._:@-]{0,127}; a channel may refuse more. */
    goclaw_text display_name; /* As the device claims it; empty where it claims none. */
    goclaw_text metadata;     /* A JSON object of at most 16 KiB; empty where the device sent none. */
} goclaw_claim;

/* One live connection of a paired device. */
typedef struct goclaw_session {
    uint32_t size;
    uint32_t credential;   /* GOCLAW_CREDENTIAL_… */
    uint64_t id;           /* Never zero, never used again in this process. */
    void **slot;           /* The plugin's scratch state; see session_opened. */
    goclaw_text sender_id; /* As in the claim. */
    goclaw_text metadata;  /* As it was when the pairing was approved; empty where there was none. */
    int64_t opened_ms;     /* Milliseconds since 1970-01-01T00:00:00Z. */
} goclaw_session;

/* A message of a device. */
typedef struct goclaw_device_message {
    uint32_t size;
    uint32_t flags;
    int64_t number;      /* Per device, from 1, without gaps; a repeat has the same number. */
    int64_t received_ms; /* Milliseconds since 1970-01-01T00:00:00Z. */
    goclaw_text id;      /* As the device gave it. */
    goclaw_text body;    /* One JSON value. */
} goclaw_device_message;

/* A message to an agent (out of receive) or from one (into deliver). */
typedef struct goclaw_agent_message {
    uint32_t size;
    uint32_t flags;    /* GOCLAW_MESSAGE_… */
    int64_t number;    /* Into deliver: per device, from 1. Out of receive: ignored. */
    goclaw_text id;    /* Into deliver: the host's. Out of receive: empty, and the host makes one. */
    goclaw_text agent; /* The agent's name. Out of receive it may be empty: the host chooses. */
    goclaw_text body;  /* One JSON value. */
    uint32_t part;     /* From 0; only with GOCLAW_MESSAGE_PART. */
    uint32_t reserved; /* Zero. */
} goclaw_agent_message;

/* An event frame for the device. */
typedef struct goclaw_frame {
    uint32_t size;
    uint32_t flags;
    goclaw_text event;   /* [a-z][a-z0-9._]{0,63}, such as "message" or "message.part"; not "shutdown", nor
                          * one that begins with "connect." or "device.": those are the host's. */
    goclaw_text payload; /* One JSON object. */
} goclaw_frame;

/* ---- The sink: where results go ---- */

/* A number that stands for a call whose answer comes later; never zero, never used again. */
typedef uint64_t goclaw_ticket;

typedef struct goclaw_sink goclaw_sink;
struct goclaw_sink {
    uint32_t size;
    uint16_t abi_major;
    uint16_t abi_minor;
    void *context;

    /* Takes the plugin's description; in describe, once.
     * Threads: in the call.
     * Ownership: description and its texts are borrowed; the sink copies. */
    goclaw_status (*description)(const goclaw_sink *sink, const goclaw_description *description);

    /* Takes the limits; in create, at most once.
     * Threads: in the call.
     * Ownership: limits is borrowed; the sink copies. */
    goclaw_status (*limits)(const goclaw_sink *sink, const goclaw_limits *limits);

    /* Takes a fact that the administrator sees before deciding; in review. A host takes at least 32, the
     * label up to 64 and the value up to 256 characters; it cuts longer ones and removes what does not
     * print.
     * Threads: in the call.
     * Ownership: both texts are borrowed; the sink copies. */
    goclaw_status (*detail)(const goclaw_sink *sink, goclaw_text label, goclaw_text value);

    /* Takes a message for an agent; in receive. A host takes at least 64 of a call, 1 MiB together. Where
     * it does not take one, the call counts as GOCLAW_FAILED, so that no part of an answer gets lost.
     * Threads: in the call.
     * Ownership: message and its texts are borrowed; the sink copies. */
    goclaw_status (*message)(const goclaw_sink *sink, const goclaw_agent_message *message);

    /* Takes a frame for the session's device; in session_opened, receive and deliver. Bounded like
     * message.
     * Threads: in the call.
     * Ownership: frame and its texts are borrowed; the sink copies. */
    goclaw_status (*frame)(const goclaw_sink *sink, const goclaw_frame *frame);

    /* Says why the call is about to return something else than GOCLAW_OK; in every call that has a sink.
     * code is for programs, [a-z][a-z0-9_]{0,63}; message is for the device's developer or the operator:
     * what was wrong, what was expected, what to do. The last one counts.
     * Threads: in the call.
     * Ownership: both texts are borrowed; the sink copies. */
    goclaw_status (*reason)(const goclaw_sink *sink, goclaw_text code, goclaw_text message);

    /* Takes a ticket, so that the call may return GOCLAW_LATER; in review, receive and deliver. What was
     * put into the sink before is kept. Returns 0 where there is none to be had.
     * Threads: in the call.
     * Ownership: the ticket is a number; nothing is to be freed. */
    goclaw_ticket (*later)(const goclaw_sink *sink);

    /* Since 1.1. Says that the device's message is ephemeral, such as a notice of typing; in receive, before
     * it returns GOCLAW_OK, or in the answer to its ticket. The host stores nothing and asks no agent; the
     * device is told that it was taken, without a number, which stays free for the next message, and then
     * gets the frames of the call. A message put into the same sink breaks a rule. A repeat of a message that
     * was stored before stays stored.
     * Threads: in the call.
     * Ownership: none. */
    goclaw_status (*ephemeral)(const goclaw_sink *sink);

    /* Since 1.1. Takes a frame for the device of any live session of this instance; in tick. The frame is
     * sent like an event of the host's, in order with the other frames of that session, is kept nowhere, and
     * is lost with the connection. A host takes at least 1,024 of a call, 1 MiB together, and answers
     * GOCLAW_EXHAUSTED beyond that, which breaks no rule: go on at the next tick. GOCLAW_GONE says that the
     * session has ended, GOCLAW_UNAVAILABLE that its device has not been greeted yet. What was taken is sent
     * when tick returns GOCLAW_OK, and not otherwise.
     * Threads: in the call.
     * Ownership: frame and its texts are borrowed; the sink copies. */
    goclaw_status (*frame_to)(const goclaw_sink *sink, uint64_t session, const goclaw_frame *frame);

    /* Since 1.2. Says what became of an agent's message on the device; in receive. number is the message's, as
     * deliver was given it; receipt is a GOCLAW_RECEIPT_…. The host keeps when a message was read, and tells
     * the agent that said it, in words of its own and in order with the device's other messages; a model is
     * not asked, and nothing is answered. A number that no message has, or that is no longer kept, does no
     * harm. A host takes at least 64 of a call. Of an ephemeral message it breaks a rule: it would be lost.
     * Threads: in the call.
     * Ownership: none. */
    goclaw_status (*receipt)(const goclaw_sink *sink, int64_t number, int32_t receipt);

    /* Since 1.2. Says whether the device is in the background, where it reads nothing though its connection may
     * stand; in receive, also of an ephemeral message. Its place is kept: messages wait for it under their
     * numbers, and the push hook is called as for a device that is away. It holds until the device says
     * otherwise or connects anew.
     * Threads: in the call.
     * Ownership: none. */
    goclaw_status (*background)(const goclaw_sink *sink, int32_t is_background);

    /* Since 1.2. Says after how long without a message of this device its agent is told, in place of the silence
     * periods of the description, of which there has to be one; in session_opened. Rules as there; a count of
     * zero: its agent is told nothing. The host keeps it until the next session of the device says otherwise;
     * one that says nothing goes back to those of the description.
     * Threads: in the call.
     * Ownership: periods_ms is borrowed; the sink copies. */
    goclaw_status (*silence)(const goclaw_sink *sink, const uint64_t *periods_ms, uint32_t count);
};

/* Writes an answer into the sink and returns how the call ended; see goclaw_host.answer.
 * Threads: the thread that calls goclaw_host.answer, before that returns.
 * Ownership: sink is borrowed for the call; user is the plugin's own. */
typedef goclaw_status (*goclaw_writer)(void *user, const goclaw_sink *sink);

/* ---- The host ---- */

typedef struct goclaw_host goclaw_host;
struct goclaw_host {
    uint32_t size;
    uint16_t abi_major;
    uint16_t abi_minor;
    void *context;

    /* Finds an extension of the host.
     * Threads: any.
     * Ownership: id is borrowed; the table lives as long as the process. */
    const void *(*get_extension)(const goclaw_host *host, goclaw_text id);

    /* Writes a line to the log, with the channel's name. Up to 1,024 characters are kept; a plugin that
     * logs without measure is cut short.
     * Threads: any.
     * Ownership: line is borrowed; the host copies. */
    void (*log)(const goclaw_host *host, int32_t severity, goclaw_text line);

    /* The wall clock: milliseconds since 1970-01-01T00:00:00Z.
     * Threads: any.
     * Ownership: none. */
    int64_t (*clock_ms)(const goclaw_host *host);

    /* A clock that never goes back, in nanoseconds from an arbitrary moment.
     * Threads: any.
     * Ownership: none. */
    uint64_t (*monotonic_ns)(const goclaw_host *host);

    /* Adds to a counter of this channel; see the metrics of the process. name is [a-z][a-z0-9_]{0,63};
     * a host keeps at least 64 names of a channel, counters and gauges together.
     * Threads: any.
     * Ownership: name is borrowed; the host copies. */
    goclaw_status (*count)(const goclaw_host *host, goclaw_text name, uint64_t amount);

    /* Sets a gauge of this channel to a finite value; names as for count.
     * Threads: any.
     * Ownership: name is borrowed; the host copies. */
    goclaw_status (*gauge)(const goclaw_host *host, goclaw_text name, double value);

    /* Asks for the end of a session of this channel; session_closed follows in its time. The device reads
     * reason, up to 120 bytes, in the close frame.
     * Threads: any.
     * Ownership: reason is borrowed; the host copies. */
    goclaw_status (*close_session)(const goclaw_host *host, uint64_t session, goclaw_text reason);

    /* Answers a call that returned GOCLAW_LATER. If the ticket is still open, it is used up, and write is
     * called once, at once, on this thread, with a sink that stands for the call's; what it returns is how
     * the call ended (GOCLAW_LATER counts as GOCLAW_FAILED). Otherwise write is not called and the
     * answer is GOCLAW_GONE: a second answer, or one that came too late, does no harm. May be called
     * before the call that took the ticket has returned.
     * Threads: any.
     * Ownership: user is the plugin's own and is not kept. */
    goclaw_status (*answer)(const goclaw_host *host, goclaw_ticket ticket, goclaw_writer write, void *user);
};

/* ---- The plugin ---- */

typedef struct goclaw_channel goclaw_channel;
struct goclaw_channel {
    uint32_t size;
    uint16_t abi_major;
    uint16_t abi_minor;
    void *context;

    /* Puts the description into the sink. Called before create, without any configuration.
     * Threads: alone.
     * Ownership: sink is borrowed. */
    goclaw_status (*describe)(const goclaw_channel *channel, const goclaw_sink *sink);

    /* Makes an instance from the operator's configuration: a JSON object, "{}" where there is none. An
     * instance that cannot be made is a refused plugin: the sink's reason says what is wrong with the
     * configuration. May put limits into the sink; they hold for the life of the instance.
     * Threads: alone.
     * Ownership: configuration and sink are borrowed; host is the table given to the entry and lives as
     * long as the process; what is stored in *instance stays the plugin's and is given to every later
     * call. */
    goclaw_status (*create)(
        const goclaw_channel *channel, const goclaw_host *host, goclaw_text configuration,
        const goclaw_sink *sink, void **instance);

    /* Ends an instance: after every call returned and every session closed. Tickets that are still open
     * are void. A process that dies does not call it.
     * Threads: alone.
     * Ownership: the plugin frees what instance stands for. */
    void (*destroy)(void *instance);

    /* Reviews a request to pair, before anybody sees it: GOCLAW_OK lets it pass to the administrator,
     * with the details put into the sink; GOCLAW_INVALID, GOCLAW_FORBIDDEN and GOCLAW_UNAVAILABLE refuse
     * it, for the reason put into the sink. May answer later.
     * Threads: parallel.
     * Ownership: claim and sink are borrowed. */
    goclaw_status (*review)(void *instance, const goclaw_claim *claim, const goclaw_sink *sink);

    /* Optional. Finds an extension of the plugin.
     * Threads: any.
     * Ownership: id is borrowed; the table lives as long as the process. */
    const void *(*get_extension)(const goclaw_channel *channel, goclaw_text id);

    /* Optional. A paired device has connected; anything but GOCLAW_OK refuses the connection, for the
     * reason put into the sink. *session->slot is null; what the plugin stores there is there again in
     * the session's later calls. Without GOCLAW_OK no other call for this session follows.
     * Threads: per session.
     * Ownership: session and sink are borrowed; what *session->slot points to is the plugin's. */
    goclaw_status (*session_opened)(
        void *instance, const goclaw_session *session, const goclaw_sink *sink);

    /* Optional. The connection has ended, for whatever reason; the last call for this session.
     * Threads: per session.
     * Ownership: session and reason are borrowed; the plugin frees what *session->slot points to. */
    void (*session_closed)(void *instance, const goclaw_session *session, goclaw_text reason);

    /* Optional; without it every message passes to the agent as it is. Turns a device's message into any
     * number of agent messages and of frames for the device. Anything but GOCLAW_OK refuses the message,
     * for the reason put into the sink. The same message may come again, with the same number, after a
     * failure anywhere. May answer later.
     * Threads: per session.
     * Ownership: session, message and sink are borrowed. */
    goclaw_status (*receive)(
        void *instance, const goclaw_session *session, const goclaw_device_message *message,
        const goclaw_sink *sink);

    /* Optional; without it every message becomes one frame "message". Turns an agent's message into any
     * number of frames for the device. Anything but GOCLAW_OK refuses the message. The same message may
     * come again, with the same number. May answer later.
     * Threads: per session.
     * Ownership: session, message and sink are borrowed. */
    goclaw_status (*deliver)(
        void *instance, const goclaw_session *session, const goclaw_agent_message *message,
        const goclaw_sink *sink);

    /* Optional. Time has passed; called every goclaw_limits.tick_ms, never twice at the same time, late
     * where the channel is busy.
     * Threads: parallel with every other call but destroy.
     * Ownership: sink is borrowed. */
    goclaw_status (*tick)(void *instance, int64_t clock_ms, const goclaw_sink *sink);
};

/* The one symbol a plugin exports. Called once for each host table; a process may hold more than one
 * host, so it may be called again with another table, and each instance keeps to the host it was made
 * with. Returns null where the plugin cannot work with this host, after saying why in host->log.
 * Threads: alone.
 * Ownership: both tables live as long as the process and do not change. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const goclaw_channel *goclaw_channel_entry(const goclaw_host *host);

#ifdef __cplusplus
}
#endif

#endif
