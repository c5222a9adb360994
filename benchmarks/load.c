/* Load for a Socket.IO server, from one thread: what it can do and how long it takes.
 *
 *     load --port 5000 --mode echo --connections 100 --payload 32 --seconds 2
 *
 * Speaks Engine.IO 4 and Socket.IO 5 over WebSocket and long polling itself. Prints one line of
 * JSON; anything a server should not do ends it with a message and status 1.
 *
 *     echo     each connection has one event in flight, answered by an event
 *     job      the same; the server answers from another thread
 *     ack      each event is answered by its acknowledgement
 *     churn    each leaves a room and joins it again, and is answered by an acknowledgement
 *     binary   as echo, with the payload as an attachment
 *     fanout   one more connection sends; the others get each broadcast (--rooms: a room's share)
 *     poll     as echo, by long polling: two HTTP connections a session
 *     connect  how fast connections are made, up to the reply to CONNECT
 *     idle     make them, say so, hold them until standard input ends
 *
 * --probe http|echo measures a request, or an event of one more connection, beside the load, with
 * a pause of 2 ms after each. --rate sends at that many events a second in all instead of at each
 * answer. --browser sends a browser's headers and cookies. --pid (repeatable) names the server's
 * processes, whose CPU time is read.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum mode { ECHO, JOB, ACK, CHURN, BINARY, FANOUT, POLL, CONNECT, IDLE };
static const char *const MODES[] = {"echo",   "job",  "ack",     "churn", "binary",
                                    "fanout", "poll", "connect", "idle"};
enum probe { NO_PROBE, HTTP_PROBE, ECHO_PROBE };
enum role { LOAD, SENDER, PROBE };
enum state { UPGRADING, OPENING, JOINING, READY };

#define RING 1024 /* broadcasts, or timed events of a connection, that may be under way */
#define OPENING_AT_ONCE 50
#define PROBE_PAUSE_NS 2000000ull
#define PATIENCE_NS 30000000000ull /* without progress, the server is taken to hang */

static struct {
    enum mode mode;
    enum probe probe;
    int port, payload, rooms, window, is_browser;
    unsigned connections;
    double seconds, warmup, rate;
    int pids[64], pid_count;
} config = {.connections = 100, .payload = 32, .rooms = 0, .window = 4, .seconds = 2, .warmup = .5};

typedef struct conn {
    int fd;
    enum role role;
    enum state state;
    int is_http, is_busy, is_armed;
    unsigned room;
    uint64_t began, got, *sent; /* sent: a ring of times, one place where one is in flight */
    uint64_t sent_count;
    uint8_t *in, *out;
    size_t in_len, in_size, out_len, out_size;
    struct session *session;
} conn;

typedef struct session { /* of long polling */
    conn *get, *post;
    char path[128];
    int must_pong, is_due;
    uint64_t began, sent;
} session;

static int epoll_fd;
static conn *conns;
static session *sessions;
static unsigned conn_count, opened, opening, ready;
static conn *sender, *probe;
static uint8_t scratch[1 << 18];
static uint64_t progress_at;

static void die(const char *why, ...) {
    va_list args;
    va_start(args, why);
    fputs("load: ", stderr);
    vfprintf(stderr, why, args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void *grown(void *memory, size_t *size, size_t needed) {
    if (needed <= *size) return memory;
    *size = needed * 2;
    memory = realloc(memory, *size);
    if (!memory) die("out of memory");
    return memory;
}

/* -- latencies: counts by value, 32 steps to a power of two ------------------------------- */

typedef struct { uint64_t count[59 * 64], total, max; } histogram;
static histogram latency, probe_latency;

static void record(histogram *h, uint64_t ns) {
    unsigned power = ns < 64 ? 0 : (unsigned)(58 - __builtin_clzll(ns));
    h->count[power * 64 + (ns >> power)]++;
    h->total++;
    if (ns > h->max) h->max = ns;
}

static double percentile_us(const histogram *h, double part) {
    uint64_t left = (uint64_t)((double)h->total * part);
    for (unsigned i = 0; i < 59 * 64; i++) {
        if (h->count[i] > left) return (double)((uint64_t)(i % 64) << i / 64) / 1000;
        left -= h->count[i];
    }
    return (double)h->max / 1000;
}

/* -- frames ready to send ------------------------------------------------------------------ */

typedef struct { uint8_t *data; size_t len; } bytes;
static bytes event_frame, echo_frame, connect_frame, pong_frame, *room_frames, *join_frames;
static char *event_text;

static void add_frame(bytes *to, int opcode, const void *payload, size_t len) {
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    to->data = realloc(to->data, to->len + len + 14);
    uint8_t *p = to->data + to->len;
    *p++ = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        *p++ = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = 0x80 | 127;
        for (int i = 7; i >= 0; i--) *p++ = (uint8_t)((uint64_t)len >> (8 * i));
    }
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < len; i++) *p++ = ((const uint8_t *)payload)[i] ^ mask[i & 3];
    to->len = (size_t)(p - to->data);
}

static bytes text_frame(const char *format, ...) {
    bytes frame = {0};
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) die("out of memory");
    add_frame(&frame, 1, text, strlen(text));
    free(text);
    return frame;
}

static void prepare(void) {
    char *filler = malloc((size_t)config.payload + 1);
    memset(filler, 'x', (size_t)config.payload);
    filler[config.payload] = 0;
    connect_frame = text_frame("40");
    pong_frame = text_frame("3");
    echo_frame = text_frame("42[\"echo\",\"%s\"]", filler);
    if (asprintf(&event_text, "42[\"echo\",\"%s\"]", filler) < 0) die("out of memory");
    if (config.mode == ACK) event_frame = text_frame("421[\"ack\",\"%s\"]", filler);
    else if (config.mode == CHURN) event_frame = text_frame("421[\"churn\",1]");
    else if (config.mode == JOB) event_frame = text_frame("42[\"job\",\"%s\"]", filler);
    else if (config.mode == BINARY) {
        event_frame = text_frame("451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
        add_frame(&event_frame, 2, filler, (size_t)config.payload);
    } else event_frame = echo_frame;
    unsigned rooms = config.rooms ? (unsigned)config.rooms : 1;
    room_frames = calloc(rooms, sizeof *room_frames);
    join_frames = calloc(rooms, sizeof *join_frames);
    for (unsigned i = 0; i < rooms; i++) {
        room_frames[i] = config.rooms ? text_frame("42[\"room\",\"room %u\",\"%s\"]", i, filler)
                                      : text_frame("42[\"fan\",\"%s\"]", filler);
        join_frames[i] = text_frame("421[\"join\",\"room %u\"]", i);
    }
    free(filler);
}

/* -- sockets ------------------------------------------------------------------------------- */

static void interest(conn *c, int operation, int wants_write) {
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
    c->is_armed = wants_write;
}

static void open_socket(conn *c) {
    static const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)config.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket: %s (ulimit -n?)", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    interest(c, EPOLL_CTL_ADD, 1);
}

static void flush(conn *c) {
    ssize_t sent = c->out_len ? send(c->fd, c->out, c->out_len, MSG_NOSIGNAL) : 0;
    if (sent < 0) {
        if (errno == EAGAIN) return;
        die("send: %s", strerror(errno));
    }
    c->out_len -= (size_t)sent;
    memmove(c->out, c->out + sent, c->out_len);
    if (!c->out_len && c->is_armed) interest(c, EPOLL_CTL_MOD, 0);
}

static void write_bytes(conn *c, const void *data, size_t len) {
    if (!c->out_len && !c->is_armed) {
        ssize_t sent = send(c->fd, data, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) die("send: %s", strerror(errno));
        if (sent < 0) sent = 0;
        if ((size_t)sent == len) return;
        data = (const uint8_t *)data + sent;
        len -= (size_t)sent;
        interest(c, EPOLL_CTL_MOD, 1);
    }
    c->out = grown(c->out, &c->out_size, c->out_len + len);
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
}

static void request(conn *c, const char *method, const char *path, const char *more,
                    const char *body, size_t body_len) {
    static char head[4096];
    int len = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s", method,
                       path, config.port, more);
    if (config.is_browser)
        len += snprintf(head + len, sizeof head - (size_t)len,
                        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
                        "like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n"
                        "Origin: http://127.0.0.1:%d\r\n"
                        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                        "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
                        "Cache-Control: no-cache\r\nPragma: no-cache\r\n"
                        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
                        "Cookie: session=eyJuYW1lIjoiYWxpY2UifQ.Z%07ld.abcdefghijklmnopqrstuvw0; "
                        "_ga=GA1.1.1234567890.%010ld; theme=dark\r\n",
                        config.port, (long)(c - conns), (long)(c - conns));
    if (body)
        len += snprintf(head + len, sizeof head - (size_t)len,
                        "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n",
                        body_len);
    len += snprintf(head + len, sizeof head - (size_t)len, "\r\n");
    if (c->fd < 0) open_socket(c);
    if (body && (size_t)len + body_len < sizeof head) { /* one segment, as a browser sends it */
        memcpy(head + len, body, body_len);
        write_bytes(c, head, (size_t)len + body_len);
    } else {
        write_bytes(c, head, (size_t)len);
        if (body) write_bytes(c, body, body_len);
    }
    c->is_busy = 1;
}

static void upgrade(conn *c) {
    request(c, "GET", "/socket.io/?EIO=4&transport=websocket",
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
            NULL, 0);
}

/* -- the load ------------------------------------------------------------------------------ */

static uint64_t broadcast_sent[RING], next_broadcast, in_flight;
static unsigned broadcast_left[RING];
static uint64_t events, probe_due;
static int is_running;

static void send_event(conn *c, uint64_t now) {
    c->sent[config.rate > 0 ? c->sent_count++ % RING : 0] = now;
    write_bytes(c, event_frame.data, event_frame.len);
}

static void answered(conn *c) {
    uint64_t now = now_ns();
    events++;
    if (config.rate > 0) {
        record(&latency, now - c->sent[c->got++ % RING]);
    } else {
        record(&latency, now - c->sent[0]);
        send_event(c, now);
    }
}

static void broadcast(void) {
    unsigned rooms = config.rooms ? (unsigned)config.rooms : 1;
    while (in_flight < (uint64_t)config.window) {
        uint64_t number = next_broadcast++;
        broadcast_sent[number % RING] = now_ns();
        broadcast_left[number % RING] = config.connections / rooms;
        in_flight++;
        bytes *frame = &room_frames[number % rooms];
        write_bytes(sender, frame->data, frame->len);
    }
}

static void delivered(conn *c) {
    unsigned rooms = config.rooms ? (unsigned)config.rooms : 1;
    uint64_t number = c->got++ * rooms + c->room;
    events++;
    if (--broadcast_left[number % RING] == 0) { /* the last of its receivers has it */
        record(&latency, now_ns() - broadcast_sent[number % RING]);
        in_flight--;
        broadcast();
    }
}

static void send_probe(uint64_t now) {
    probe_due = 0;
    probe->sent[0] = now;
    if (config.probe == ECHO_PROBE) write_bytes(probe, echo_frame.data, echo_frame.len);
    else request(probe, "GET", "/plain", "", NULL, 0);
}

static void probe_answered(void) {
    uint64_t now = now_ns();
    record(&probe_latency, now - probe->sent[0]);
    probe_due = now + PROBE_PAUSE_NS;
}

static void is_ready(conn *c) {
    c->state = READY;
    if (c->role == LOAD) record(&latency, now_ns() - c->began);
    opening--;
    ready++;
}

static void poll_event(session *s) {
    static char body[1 << 17];
    int len = snprintf(body, sizeof body, "%s%s", s->must_pong ? "3\x1e" : "", event_text);
    s->must_pong = 0;
    s->is_due = 1;
    s->sent = now_ns();
    request(s->post, "POST", s->path, "", body, (size_t)len);
}

static void poll_again(session *s) { request(s->get, "GET", s->path, "", NULL, 0); }

static void open_next(void) {
    while (opened < conn_count && opening < OPENING_AT_ONCE) {
        conn *c = &conns[opened++];
        c->began = now_ns();
        if (c->session) {
            if (c != c->session->get) continue; /* opened with the session's first POST */
            opening++;
            request(c, "GET", "/socket.io/?EIO=4&transport=polling", "", NULL, 0);
        } else if (c->is_http) {
            ready++;
        } else {
            opening++;
            upgrade(c);
        }
    }
}

/* -- what comes back ----------------------------------------------------------------------- */

static void message(conn *c, int opcode, int is_deflated, const char *text, size_t len) {
    if (opcode == 9) die("a WebSocket ping, which Engine.IO has no use for");
    if (opcode == 8) die("the server closes a connection");
    if (is_deflated) { /* not looked into: the first is the handshake, the next CONNECT's reply */
        if (c->state != OPENING) return;
        if (c->got++) is_ready(c);
        else write_bytes(c, connect_frame.data, connect_frame.len);
        return;
    }
    if (opcode == 2) {
        if (config.mode == BINARY && c->role == LOAD) answered(c);
        return;
    }
    if (len == 1 && *text == '2') {
        write_bytes(c, pong_frame.data, pong_frame.len);
    } else if (c->state == OPENING) {
        if (*text == '0') write_bytes(c, connect_frame.data, connect_frame.len);
        else if (len > 2 && !memcmp(text, "40", 2)) {
            if (config.rooms && c->role == LOAD) {
                c->state = JOINING;
                write_bytes(c, join_frames[c->room].data, join_frames[c->room].len);
            } else is_ready(c);
        } else die("refused: %.*s", (int)len, text);
    } else if (c->state == JOINING) {
        if (memcmp(text, "431", 3)) die("could not join: %.*s", (int)len, text);
        is_ready(c);
    } else if (c->role == PROBE) {
        if (len > 8 && !memcmp(text, "42[\"echo\"", 9)) probe_answered();
    } else if (config.mode == FANOUT) {
        if (c->role == LOAD) delivered(c);
    } else if (len > 2 && (!memcmp(text, "42[", 3) || !memcmp(text, "431", 3))) {
        answered(c);
    } else if (memcmp(text, "451-", 4)) die("not understood: %.*s", (int)len, text);
}

static size_t take_frames(conn *c, const uint8_t *data, size_t len) {
    size_t at = 0;
    if (c->state == UPGRADING) {
        const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end) return 0;
        if (len < 12 || memcmp(data, "HTTP/1.1 101", 12))
            die("no upgrade: %.*s", (int)(end - data), data);
        at = (size_t)(end + 4 - data);
        c->state = OPENING;
    }
    while (len - at >= 2) {
        size_t body = at + 2, size = data[at + 1] & 0x7f;
        int width = size < 126 ? 0 : size == 126 ? 2 : 8;
        if (len - body < (size_t)width) break;
        if (width) size = 0;
        for (int i = 0; i < width; i++) size = size << 8 | data[body++];
        if (len - body < size) break;
        message(c, data[at] & 0x0f, data[at] & 0x40, (const char *)data + body, size);
        at = body + size;
    }
    return at;
}

static void take_poll(session *s, const char *text, size_t len) {
    while (len) {
        const char *end = memchr(text, 0x1e, len);
        size_t size = end ? (size_t)(end - text) : len;
        if (*text == '0') {
            const char *sid = memmem(text, size, "\"sid\":\"", 7);
            if (!sid) die("no sid in the handshake");
            sid += 7;
            const char *quote = memchr(sid, '"', size);
            snprintf(s->path, sizeof s->path, "/socket.io/?EIO=4&transport=polling&sid=%.*s",
                     (int)(quote - sid), sid);
            request(s->post, "POST", s->path, "", "40", 2);
        } else if (*text == '2' && size == 1) {
            s->must_pong = 1;
        } else if (size > 2 && !memcmp(text, "40", 2)) {
            is_ready(s->get);
            if (is_running) poll_event(s);
        } else if (size > 2 && !memcmp(text, "42[", 3)) {
            events++;
            record(&latency, now_ns() - s->sent);
            s->is_due = 0;
        }
        if (!end) break;
        len -= size + 1;
        text = end + 1;
    }
}

static void response(conn *c, int status, const char *body, size_t len) {
    if (status != 200) die("status %d: %.*s", status, (int)len, body);
    session *s = c->session;
    if (!s) {
        probe_answered();
        return;
    }
    if (c == s->get) {
        take_poll(s, body, len);
        poll_again(s);
    }
    if (is_running && !s->is_due && !s->post->is_busy) poll_event(s);
}

/* Take one HTTP response apart; return 0 while it is not whole. */
static size_t take_response(conn *c, uint8_t *data, size_t len) {
    uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end) return 0;
    uint8_t *body = end + 4;
    size_t size = 0, used;
    *end = 0;
    const char *head = (const char *)data;
    const char *length = strcasestr(head, "\ncontent-length:");
    int status = atoi(head + 9);
    int must_close = strcasestr(head, "\nconnection: close") != NULL;
    int is_chunked = strcasestr(head, "\ntransfer-encoding: chunked") != NULL;
    *end = '\r';
    if (length) {
        size = strtoul(length + 16, NULL, 10);
        if ((size_t)(data + len - body) < size) return 0;
        used = (size_t)(body - data) + size;
    } else if (is_chunked) {
        uint8_t *in = body;
        for (;;) { /* first whether it is whole, then once more to join the pieces */
            uint8_t *line = memmem(in, (size_t)(data + len - in), "\r\n", 2);
            if (!line) return 0;
            size_t chunk = strtoul((char *)in, NULL, 16);
            if ((size_t)(data + len - line) < chunk + 4) return 0;
            in = line + chunk + 4;
            if (!chunk) break;
        }
        used = (size_t)(in - data);
        in = body;
        for (uint8_t *out = body;;) {
            uint8_t *line = memmem(in, (size_t)(data + len - in), "\r\n", 2);
            size_t chunk = strtoul((char *)in, NULL, 16);
            in = line + chunk + 4;
            if (!chunk) break;
            memmove(out, line + 2, chunk);
            out += chunk;
            size += chunk;
        }
    } else die("a response without a length");
    c->is_busy = 0;
    if (must_close) { /* before the answer is looked at: that may send the next request */
        close(c->fd);
        c->fd = -1;
    }
    response(c, status, (const char *)body, size);
    return used;
}

static void readable(conn *c) {
    ssize_t got = recv(c->fd, scratch, sizeof scratch, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        if (!c->is_http || c->is_busy || got < 0) die("a connection was closed by the server");
        close(c->fd); /* the server's keep-alive has ended */
        c->fd = -1;
        return;
    }
    uint8_t *data = scratch;
    size_t len = (size_t)got;
    if (c->in_len) {
        c->in = grown(c->in, &c->in_size, c->in_len + len);
        memcpy(c->in + c->in_len, scratch, len);
        data = c->in;
        len += c->in_len;
    }
    size_t used = c->is_http ? take_response(c, data, len) : take_frames(c, data, len);
    if (used < len) {
        c->in = grown(c->in, &c->in_size, len - used);
        memmove(c->in, data + used, len - used);
    }
    c->in_len = len - used;
}

/* -- the measurement ----------------------------------------------------------------------- */

static double server_cpu(void) {
    double seconds = 0;
    for (int i = 0; i < config.pid_count; i++) {
        char path[64], line[1024];
        unsigned long user, system;
        snprintf(path, sizeof path, "/proc/%d/stat", config.pids[i]);
        FILE *file = fopen(path, "r");
        if (!file || !fgets(line, sizeof line, file)) die("process %d is gone", config.pids[i]);
        fclose(file);
        if (sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                   &user, &system) == 2)
            seconds += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    }
    return seconds;
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static struct { uint64_t time; double own, server; } start;

static void begin_window(void) {
    memset(&latency, 0, sizeof latency);
    memset(&probe_latency, 0, sizeof probe_latency);
    events = 0;
    start.server = server_cpu();
    start.own = own_cpu();
    start.time = now_ns();
}

static void print_latency(const char *name, const histogram *h) {
    printf(", \"%s\": {\"count\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}", name,
           (unsigned long)h->total, percentile_us(h, .5), percentile_us(h, .99),
           (double)h->max / 1000);
}

static void print_results(void) {
    double seconds = (double)(now_ns() - start.time) / 1e9;
    double own = own_cpu() - start.own, server = server_cpu() - start.server;
    printf("{\"mode\": \"%s\", \"events\": %lu, \"seconds\": %.4f, \"rate\": %.1f", MODES[config.mode],
           (unsigned long)events, seconds, (double)events / seconds);
    printf(", \"load_cpu_share\": %.3f, \"server_cpu_s\": %.3f", own / seconds, server);
    if (latency.total) print_latency("latency", &latency);
    if (probe_latency.total) print_latency("probe", &probe_latency);
    puts("}");
    fflush(stdout);
}

static void turn(int timeout_ms) {
    static struct epoll_event happened[1024];
    static uint64_t last;
    int count = epoll_wait(epoll_fd, happened, 1024, timeout_ms);
    for (int i = 0; i < count; i++) {
        conn *c = happened[i].data.ptr;
        if (c->fd >= 0 && happened[i].events & EPOLLOUT) flush(c);
        if (c->fd >= 0 && happened[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
    }
    uint64_t now = now_ns();
    if (events + ready != last) progress_at = now;
    last = events + ready;
    if (config.mode != IDLE && now - progress_at > PATIENCE_NS) die("no progress for 30 s");
}

static void set_up(void) {
    unsigned extra = (config.mode == FANOUT) + (config.probe != NO_PROBE);
    unsigned load = config.connections * (config.mode == POLL ? 2 : 1);
    conn_count = load + extra;
    conns = calloc(conn_count, sizeof *conns);
    if (config.mode == POLL) sessions = calloc(config.connections, sizeof *sessions);
    for (unsigned i = 0; i < conn_count; i++) {
        conn *c = &conns[i];
        c->fd = -1;
        c->room = config.rooms ? i % (unsigned)config.rooms : 0;
        c->sent = calloc(config.rate > 0 ? RING : 1, sizeof *c->sent);
        if (i < load && sessions) {
            session *s = c->session = &sessions[i / 2];
            c->is_http = 1;
            *(i % 2 ? &s->post : &s->get) = c;
        }
    }
    if (config.mode == FANOUT) (sender = &conns[load])->role = SENDER;
    if (config.probe != NO_PROBE) {
        (probe = &conns[conn_count - 1])->role = PROBE;
        probe->is_http = config.probe == HTTP_PROBE;
    }
}

static void connect_all(void) {
    unsigned due = conn_count - (config.mode == POLL ? config.connections : 0);
    begin_window();
    while (open_next(), ready < due) turn(100);
    events = ready;
}

static void begin_load(uint64_t now) {
    is_running = 1;
    if (config.mode == FANOUT) broadcast();
    else if (config.mode == POLL)
        for (unsigned i = 0; i < config.connections; i++) poll_event(&sessions[i]);
    else if (config.rate <= 0)
        for (unsigned i = 0; i < config.connections; i++) send_event(&conns[i], now);
    if (probe) send_probe(now);
}

static void run_load(void) {
    uint64_t began = now_ns(), timed = 0, now;
    uint64_t warm = began + (uint64_t)(config.warmup * 1e9);
    uint64_t end = warm + (uint64_t)(config.seconds * 1e9);
    int is_warm = 0;
    begin_load(began);
    while ((now = now_ns()) < end) {
        if (!is_warm && now >= warm) {
            is_warm = 1;
            begin_window();
        }
        if (probe_due && now >= probe_due) send_probe(now);
        while (config.rate > 0 && (double)timed < (double)(now - began) / 1e9 * config.rate)
            send_event(&conns[timed++ % config.connections], now);
        turn(probe || config.rate > 0 ? 1 : 5);
    }
    print_results();
}

static void hold(void) {
    conn input = {.fd = 0, .is_http = 1};
    print_results();
    interest(&input, EPOLL_CTL_ADD, 0);
    for (;;) {
        static struct epoll_event happened[1024];
        int count = epoll_wait(epoll_fd, happened, 1024, -1);
        for (int i = 0; i < count; i++) {
            if (happened[i].data.ptr == &input) return;
            readable(happened[i].data.ptr);
        }
    }
}

static int choice(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (!strcmp(name, names[i])) return i;
    die("unknown: %s", name);
    return 0;
}

static void read_options(int argc, char **argv) {
    static const char *const PROBES[] = {"none", "http", "echo"};
    static const struct option options[] = {
        {"port", 1, 0, 'p'},    {"mode", 1, 0, 'm'},   {"connections", 1, 0, 'n'},
        {"payload", 1, 0, 'b'}, {"rooms", 1, 0, 'r'},  {"window", 1, 0, 'w'},
        {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'u'}, {"rate", 1, 0, 'e'},
        {"probe", 1, 0, 'x'},   {"pid", 1, 0, 'i'},    {"browser", 0, 0, 'h'},
        {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (letter) {
        case 'p': config.port = atoi(optarg); break;
        case 'm': config.mode = (enum mode)choice(optarg, MODES, 9); break;
        case 'n': config.connections = (unsigned)atoi(optarg); break;
        case 'b': config.payload = atoi(optarg); break;
        case 'r': config.rooms = atoi(optarg); break;
        case 'w': config.window = atoi(optarg); break;
        case 's': config.seconds = atof(optarg); break;
        case 'u': config.warmup = atof(optarg); break;
        case 'e': config.rate = atof(optarg); break;
        case 'x': config.probe = (enum probe)choice(optarg, PROBES, 3); break;
        case 'h': config.is_browser = 1; break;
        case 'i':
            if (config.pid_count < 64) config.pids[config.pid_count++] = atoi(optarg);
            break;
        default: exit(2);
        }
    }
    if (config.rooms && config.connections % (unsigned)config.rooms)
        die("the connections do not fill the rooms evenly");
    if (config.window < 1 || config.window >= RING) die("--window is 1 to %d", RING - 1);
    if (config.payload > 65536) die("--payload is at most 65536");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    progress_at = now_ns();
    prepare();
    set_up();
    connect_all();
    if (config.mode == IDLE) hold();
    else if (config.mode == CONNECT) print_results();
    else run_load();
    return 0;
}
