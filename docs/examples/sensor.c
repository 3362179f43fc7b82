/*
 * A sensor for small machines: sensor URL SENDER_ID STATE_FILE [PERIOD_MS] [--repair]
 *
 *     cc -O2 -Wall -Wextra -o sensor sensor.c -lssl -lcrypto
 *     ./sensor ws://127.0.0.1:8080/ws sensor-hall-1 sensor.state 1000
 *
 * One thread, no allocation after the start, fixed buffers: what an ESP32 can hold. It is of the channel `iot`, has an
 * Ed25519 key, asks to pair, waits for an administrator, sends a reading each period, keeps readings while there is no
 * connection, carries commands out, and comes back by itself until it is revoked, denied or replaced. `--repair` is its
 * owner's wish to ask again after that. It prints what happens, a JSON object a line. On another machine, replace what
 * stands under "The machine". docs/device-developers.md is the protocol.
 */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A frame of the channel `iot` has up to 64 KiB of message. */
static char in[66 * 1024], out[1024];
static struct { unsigned char key[32]; char asked; long long received; } state;
static struct { unsigned number; double value; long long at; } kept[256];
static unsigned first, count, made;
static const char *path, *sender;
static char host[264], target[256], origin[300], name[64], boot[17], reason[64];
static int secure, period = 60000, repairs, calls, closed;
static enum { AWAY, WAITING, PAIRED } standing;
/* Why it must stop; when something came last, before when nothing is sent, when the next reading is due. */
static const char *ended;
static long long heard, held, due;
static SSL_CTX *tls;
static BIO *wire;

/* The machine: time, randomness, what is kept, what is measured, what is done. */

static long long milliseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static long long now(void) { return milliseconds(CLOCK_MONOTONIC); }

/* Written beside and renamed, so that it is whole after a loss of power. */
static void save(void) {
    char fresh[512];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "wb");
    if (!file || fwrite(&state, sizeof state, 1, file) != 1 || fflush(file) || fsync(fileno(file)) || fclose(file)
        || rename(fresh, path)) exit((perror(path), 2));
}

static double measure(void) { return 20 + (made % 50) / 10.0; }
static int carry_out(const char *command) { return strcmp(command, "blink") == 0; }

/* JSON: the value of a member of an object; NULL where there is none. What comes from the server is well-formed. */

/* Behind a text, from its first quotation mark on. */
static const char *behind_text(const char *p) {
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1]) p++;
    return *p ? p + 1 : p;
}

static const char *member(const char *p, const char *key) {
    size_t length = strlen(key);
    if (!p || *p != '{') return NULL;
    for (p++; *p == '"'; p = *p == ',' ? p + 1 : p) {
        int is_it = strncmp(p + 1, key, length) == 0 && p[1 + length] == '"', depth = 0;
        p = behind_text(p);
        if (*p) p++;
        if (is_it) return p;
        while (*p && (depth > 0 || (*p != ',' && *p != '}'))) {
            if (*p == '{' || *p == '[') depth++;
            if (*p == '}' || *p == ']') depth--;
            p = *p == '"' ? behind_text(p) : p + 1;
        }
    }
    return NULL;
}

static long long number(const char *object, const char *key) {
    const char *p = member(object, key);
    return p ? strtoll(p, NULL, 10) : 0;
}

/* Whether a member is that text. */
static int is(const char *object, const char *key, const char *text) {
    const char *p = member(object, key);
    return p && *p == '"' && strncmp(p + 1, text, strlen(text)) == 0 && p[1 + strlen(text)] == '"';
}

/* A text without escapes; what does not fit is cut. */
static const char *text(const char *object, const char *key, char *buffer, size_t size) {
    const char *p = member(object, key);
    size_t n = 0;
    if (p && *p == '"')
        for (p++; *p && *p != '"' && *p != '\\' && n + 1 < size; p++) buffer[n++] = *p;
    buffer[n] = 0;
    return buffer;
}

#define say(...) (printf(__VA_ARGS__), putchar('\n'), fflush(stdout))

/* The connection, and the WebSocket on it (RFC 6455). */

static void hang_up(void) {
    if (wire) BIO_free_all(wire);
    wire = NULL;
    standing = AWAY;
}

static int read_all(void *buffer, size_t size) {
    for (size_t got = 0; got < size;) {
        int n = wire ? BIO_read(wire, (char *)buffer + got, (int)(size - got)) : 0;
        if (n <= 0) return hang_up(), 0;
        got += (size_t)n;
    }
    return 1;
}

static int write_all(const void *buffer, size_t size) {
    return wire && BIO_write(wire, buffer, (int)size) == (int)size ? 1 : (hang_up(), 0);
}

/* Sends a frame, masked as a client has to. */
static int send_frame(int opcode, const char *data, size_t size) {
    unsigned char frame[sizeof out + 8], mask[4];
    size_t head = size < 126 ? 2 : 4;
    if (size > sizeof out || RAND_bytes(mask, 4) != 1) return 0;
    frame[0] = (unsigned char)(0x80 | opcode);
    frame[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
    if (head == 4) frame[2] = (unsigned char)(size >> 8), frame[3] = (unsigned char)size;
    memcpy(frame + head, mask, 4);
    for (size_t i = 0; i < size; i++) frame[head + 4 + i] = (unsigned char)data[i] ^ mask[i % 4];
    return write_all(frame, head + 4 + size);
}

/* Reads a frame into `in`; the server sends none in fragments. 1: a text; 0: something else, or the end. */
static int receive(void) {
    unsigned char head[10];
    if (!read_all(head, 2)) return 0;
    size_t size = head[1] & 0x7f, more = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (more && !read_all(head + 2, more)) return 0;
    if (more) size = 0;
    for (size_t i = 0; i < more; i++) size = size << 8 | head[2 + i];
    if (size >= sizeof in || !read_all(in, size)) return hang_up(), 0;
    in[size] = 0;
    heard = now();
    switch (head[0] & 0x0f) {
    case 1: return 1;
    case 9: send_frame(10, in, size < 126 ? size : 125); return 0;
    case 8:
        closed = size >= 2 ? (unsigned char)in[0] << 8 | (unsigned char)in[1] : 1005;
        send_frame(8, in, size < 2 ? 0 : 2);
        hang_up();
    }
    return 0;
}

/* Whether something can be read within that time. */
static int is_ready(long long wait) {
    struct pollfd one = {.fd = -1, .events = POLLIN};
    if (!wire) return 0;
    if (BIO_pending(wire) > 0) return 1;
    BIO_get_fd(wire, &one.fd);
    return poll(&one, 1, (int)(wait < 0 ? 0 : wait)) > 0;
}

static int dial(void) {
    struct timeval patience = {.tv_sec = 15};
    unsigned char nonce[16];
    char key[32];
    int fd = -1;
    wire = secure ? BIO_new_ssl_connect(tls) : BIO_new_connect(host);
    if (secure) {
        SSL *ssl = NULL;
        BIO_set_conn_hostname(wire, host);
        BIO_get_ssl(wire, &ssl);
        SSL_set_tlsext_host_name(ssl, name);
        SSL_set1_host(ssl, name);
    }
    if (BIO_do_connect(wire) != 1 || RAND_bytes(nonce, sizeof nonce) != 1) return hang_up(), 0;
    BIO_get_fd(wire, &fd);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
    int size = snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", target, strstr(origin, "//") + 2, key);
    if (!write_all(out, (size_t)size)) return 0;
    size_t got = 0;
    for (in[0] = 0; !strstr(in, "\r\n\r\n"); in[++got] = 0)
        if (got + 2 > 4096 || !read_all(in + got, 1)) return hang_up(), 0;
    heard = now();
    return strncmp(in, "HTTP/1.1 101 ", 13) == 0 ? 1 : (hang_up(), 0);
}

/* The protocol. Sends a request; its number, or 0. `format` makes the members of its parameters. */
static int post(const char *method, const char *format, ...) {
    char params[sizeof out - 128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(params, sizeof params, format, arguments);
    va_end(arguments);
    int size = snprintf(out, sizeof out, "{\"type\":\"req\",\"id\":\"%d\",\"method\":\"%s\",\"params\":{%s}}", ++calls,
        method, params);
    return send_frame(1, out, (size_t)size) ? calls : 0;
}

static void happened(void);
/* The answer's frame, in `in`; NULL where the connection ended first. Events before it are handled. */
static const char *answer(int id) {
    char mine[16];
    long long until = now() + 30000;
    snprintf(mine, sizeof mine, "%d", id);
    while (id && wire && now() < until && is_ready(until - now())) {
        if (!receive()) continue;
        if (is(in, "type", "event")) happened();
        else if (is(in, "id", mine)) return in;
    }
    return hang_up(), NULL;
}

/* What an answer means: done; to be tried later, which is then noted; never to be tried again; there was none. */
static enum { DONE, LATER, NEVER, LOST } judge(const char *frame) {
    const char *error = member(frame, "error"), *retryable = member(error, "retryable");
    reason[0] = 0;
    if (!frame || !error) return frame ? DONE : LOST;
    text(member(error, "details"), "reason", reason, sizeof reason);
    long long wait = number(error, "retryAfterMs");
    held = now() + (wait > 0 ? wait : 1000);
    if (strstr("revoked denied denied_recently sender_id_taken", reason) && *reason) return NEVER;
    if (is(error, "code", "NOT_PAIRED") || !strcmp(reason, "nonce_mismatch")) return LATER;
    return (retryable && *retryable == 't') || !strcmp(reason, "signed_at_out_of_range") ? LATER : NEVER;
}

static char *base64url(char *to, const unsigned char *from, int size) {
    EVP_EncodeBlock((unsigned char *)to, from, size);
    for (char *p = to; *p; p++) *p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? 0 : *p;
    return to;
}

/* Asks to pair or connects, with a proof for this socket. */
static const char *prove(const char *method, const char *purpose, const char *more) {
    char nonce[64], public_key[48], signature[96], statement[768];
    unsigned char raw[64];
    size_t size = 32, signed_size = 64;
    const char *frame = answer(post("device.challenge", ""));
    if (!frame) return NULL;
    text(member(frame, "payload"), "nonce", nonce, sizeof nonce);
    /* The server's time, so that this clock may be wrong. */
    long long at = number(member(frame, "payload"), "ts");
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, state.key, 32);
    EVP_PKEY_get_raw_public_key(key, raw, &size);
    base64url(public_key, raw, 32);
    int length = snprintf(statement, sizeof statement, "nodes-v1|%s|%s|iot|%s|%s|%lld|%s", purpose, origin, sender,
        public_key, at, nonce);
    EVP_MD_CTX *signer = EVP_MD_CTX_new();
    EVP_DigestSignInit(signer, NULL, NULL, NULL, key);
    EVP_DigestSign(signer, raw, &signed_size, (unsigned char *)statement, (size_t)length);
    EVP_MD_CTX_free(signer);
    EVP_PKEY_free(key);
    base64url(signature, raw, 64);
    return answer(post(method, "\"channel\":\"iot\",\"senderId\":\"%s\",\"publicKey\":\"%s\",\"proof\":{\"signature\":"
        "\"%s\",\"signedAt\":%lld,\"nonce\":\"%s\"}%s", sender, public_key, signature, at, nonce, more));
}

static void arrived(const char *payload) {
    char code[16];
    standing = is(payload, "status", "paired") ? PAIRED : WAITING;
    if (standing == PAIRED) say("{\"event\":\"connected\"}");
    else say("{\"event\":\"waiting\",\"code\":\"%s\"}", text(payload, "code", code, sizeof code));
}

static void greet(int asks) {
    char declared[256];
    snprintf(declared, sizeof declared, ",\"metadata\":{\"model\":\"C example\",\"readings\":[{\"name\":\"temperature\","
        "\"unit\":\"Cel\",\"type\":\"number\",\"periodMs\":%d}]}", period);
    const char *frame = asks ? prove("device.pair.request", "pair", declared) : prove("connect", "connect", "");
    int verdict = judge(frame);
    /* Nobody decided in time, or the server has forgotten; or its owner wants it to ask. */
    int is_late = verdict == LATER && (!strcmp(reason, "expired") || !strcmp(reason, "unknown"));
    if (verdict == DONE) {
        if (asks) repairs = 0, state.asked = 1, state.received = 0, save();
        if (is(member(frame, "payload"), "status", "approved")) greet(0);
        else arrived(member(frame, "payload"));
    } else if (!asks && (is_late || (verdict == NEVER && repairs))) greet(1);
    else if (verdict == NEVER) ended = reason;
    else hang_up();
}

/* An event, in `in`. */
static void happened(void) {
    char command[64];
    const char *payload = member(in, "payload"), *message = member(payload, "message");
    long long sequence = number(payload, "messageSeq");
    if (is(in, "event", "device.pair.resolved")) {
        if (is(payload, "decision", "denied")) ended = "denied";
        else if (is(payload, "decision", "expired")) greet(1);
        else if (is(payload, "status", "paired")) arrived(payload);
        else greet(0);
    } else if (sequence > 0) {
        int is_new = sequence > state.received, is_command = is(in, "event", "command");
        text(message, "command", command, sizeof command);
        if (is_new) {
            int did = is_command && carry_out(command);
            say("{\"event\":\"%s\",\"messageSeq\":%lld}", is_command ? "command" : "message", sequence);
            state.received = sequence;
            save();
            if (is_command) post("message.send", "\"messageId\":\"did-%lld\",\"message\":{\"type\":\"ack\",\"command\":"
                "\"%s\",\"ok\":%s}", sequence, command, did ? "true" : "false");
        }
        post("message.ack", "\"messageSeq\":%lld", sequence);
    }
}

/* Takes a reading when it is time, connected or not; the oldest goes where there is no room. */
static void look(void) {
    if (now() < due) return;
    due = now() + period;
    unsigned capacity = sizeof kept / sizeof *kept, place = (first + count) % capacity;
    kept[place].number = ++made, kept[place].value = measure(), kept[place].at = milliseconds(CLOCK_REALTIME);
    if (count < capacity) count++;
    else first = (first + 1) % capacity;
}

/* Sends the oldest reading; it goes where it was accepted, or never will be. */
static void send_reading(void) {
    unsigned at = first;
    const char *frame = answer(post("message.send", "\"messageId\":\"%s-%u\",\"message\":{\"readings\":{\"temperature\":"
        "%.1f},\"at\":%lld}", boot, kept[at].number, kept[at].value, kept[at].at));
    int verdict = judge(frame);
    if (verdict == LATER && is(member(frame, "error"), "code", "NOT_PAIRED")) hang_up();
    if (verdict == LATER || verdict == LOST) return;
    if (verdict == NEVER) say("{\"event\":\"given up\",\"reason\":\"%s\"}", reason);
    else say("{\"event\":\"accepted\",\"messageSeq\":%lld}", number(member(frame, "payload"), "messageSeq"));
    first = (first + 1) % (sizeof kept / sizeof *kept);
    count--;
}

int main(int argc, char **argv) {
    unsigned char random[9];
    if (argc > 4 && !strcmp(argv[argc - 1], "--repair")) repairs = 1, argc--;
    if (argc < 4 || sscanf(argv[1], "%*[a-z]://%255[^/]%255s", host, target) != 2) return puts("see sensor.c"), 2;
    sender = argv[2], path = argv[3];
    if (argc > 4) period = atoi(argv[4]);
    secure = !strncmp(argv[1], "wss:", 4);
    signal(SIGPIPE, SIG_IGN), umask(077);
    snprintf(origin, sizeof origin, "%s://%s", secure ? "https" : "http", host);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":"), host);
    if (!strchr(host, ':')) strcat(host, secure ? ":443" : ":80");
    FILE *file = fopen(path, "rb");
    if (!file || fread(&state, sizeof state, 1, file) != 1) {
        if (RAND_bytes(state.key, 32) != 1) return 2;
        /* Before the first request, whose answer may be lost. */
        save();
    }
    if (file) fclose(file);
    if (RAND_bytes(random, sizeof random) != 1) return 2;
    base64url(boot, random, sizeof random);
    if (secure) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_default_verify_paths(tls);
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    }
    for (long long ceiling = 1000;; ceiling = ceiling > 30000 ? 60000 : ceiling * 2) {
        long long began = now();
        closed = 1006;
        if (dial()) greet(!state.asked);
        while (wire && !ended) {
            look();
            int may_send = standing == PAIRED && count && now() >= held;
            if (may_send) send_reading();
            long long wait = may_send ? 0 : due - now();
            if (is_ready(wait < 30000 ? wait : 30000) && receive() && is(in, "type", "event")) happened();
            /* The server pings every 30 s. */
            if (now() - heard > 75000) hang_up();
        }
        hang_up();
        if (!ended) ended = closed == 4001 ? "revoked" : closed == 4002 ? "replaced" : closed == 4003 ? "denied" : NULL;
        if (ended) return say("{\"event\":\"stopped\",\"outcome\":\"%s\"}", ended), 1;
        say("{\"event\":\"disconnected\",\"code\":%d}", closed);
        if (now() - began >= 30000) ceiling = 1000;
        /* Between half the ceiling and all of it, and not before the server wants it. */
        RAND_bytes(random, 2);
        long long until = (held > now() ? held : now()) + ceiling / 2 + (random[0] << 8 | random[1]) % (ceiling / 2);
        for (; now() < until; poll(NULL, 0, (int)((until < due ? until : due) - now()) + 1)) look();
    }
}
