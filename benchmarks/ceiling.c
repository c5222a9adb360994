/* What the kernel allows: the least server that the generator takes for a Socket.IO server.
 *
 *     ceiling PORT
 *
 * One thread, one epoll, no JSON, no timers: events go back as they came, an acknowledgement and
 * broadcasts are cut out of the text. WebSocket and GET; no long polling.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FDS 65536

typedef struct {
    int is_open, is_armed;
    char room[32];
    uint8_t *in, *out;
    size_t in_len, out_len;
} peer;

static peer peers[MAX_FDS];
static int epoll_fd, highest;
static uint8_t scratch[1 << 18];

static void interest(int fd, int operation, int wants_write) {
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.fd = fd};
    epoll_ctl(epoll_fd, operation, fd, &event);
    peers[fd].is_armed = wants_write;
}

static void drop(int fd) {
    free(peers[fd].in);
    free(peers[fd].out);
    memset(&peers[fd], 0, sizeof peers[fd]);
    close(fd);
}

static void write_bytes(int fd, const uint8_t *data, size_t len) {
    peer *p = &peers[fd];
    ssize_t sent = p->out_len ? 0 : send(fd, data, len, MSG_NOSIGNAL);
    if (sent < 0) sent = 0; /* a failure shows at the next read */
    if ((size_t)sent == len) return;
    p->out = realloc(p->out, p->out_len + len - (size_t)sent);
    memcpy(p->out + p->out_len, data + sent, len - (size_t)sent);
    p->out_len += len - (size_t)sent;
    if (!p->is_armed) interest(fd, EPOLL_CTL_MOD, 1);
}

static void flush(int fd) {
    peer *p = &peers[fd];
    ssize_t sent = send(fd, p->out, p->out_len, MSG_NOSIGNAL);
    if (sent < 0) return;
    p->out_len -= (size_t)sent;
    memmove(p->out, p->out + sent, p->out_len);
    if (!p->out_len) interest(fd, EPOLL_CTL_MOD, 0);
}

/* Return the length of a whole frame around a payload, in a buffer of its own. */
static size_t framed(uint8_t **frame, int opcode, const void *payload, size_t len) {
    static uint8_t buffer[1 << 18];
    uint8_t *p = buffer;
    *p++ = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        *p++ = (uint8_t)len;
    } else if (len < 65536) {
        *p++ = 126;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = 127;
        for (int i = 7; i >= 0; i--) *p++ = (uint8_t)((uint64_t)len >> (8 * i));
    }
    memcpy(p, payload, len);
    *frame = buffer;
    return (size_t)(p - buffer) + len;
}

static void reply(int fd, int opcode, const void *payload, size_t len) {
    uint8_t *frame;
    size_t size = framed(&frame, opcode, payload, len);
    write_bytes(fd, frame, size);
}

static void broadcast(int from, const char *room, size_t room_len, const char *text, size_t len) {
    uint8_t *frame;
    size_t size = framed(&frame, 1, text, len);
    for (int fd = 0; fd <= highest; fd++) {
        const char *own = peers[fd].room;
        if (peers[fd].is_open && fd != from && strlen(own) >= room_len &&
            !memcmp(own, room, room_len) && (!room_len || !own[room_len]))
            write_bytes(fd, frame, size);
    }
}

static void message(int fd, int opcode, char *text, size_t len) {
    if (opcode == 8) {
        drop(fd);
    } else if (len >= 2 && !memcmp(text, "40", 2)) {
        reply(fd, 1, "40{\"sid\":\"xxxxxxxxxxxxxxxxxxxx\"}", 30);
    } else if (len > 7 && !memcmp(text, "421[\"ack\",", 10)) {
        memcpy(text + 6, "431[", 4);
        reply(fd, 1, text + 6, len - 6);
    } else if (len > 12 && !memcmp(text, "421[\"join\",\"", 12)) {
        snprintf(peers[fd].room, sizeof peers[fd].room, "%.*s", (int)(len - 14), text + 12);
        reply(fd, 1, "431[]", 5);
    } else if (len > 11 && !memcmp(text, "42[\"room\",\"", 11)) {
        char *end = memchr(text + 11, '"', len - 11);
        if (end) broadcast(fd, text + 11, (size_t)(end - text - 11), text, len);
    } else if (len > 8 && !memcmp(text, "42[\"fan\"", 8)) {
        broadcast(fd, "", 0, text, len);
    } else if (len > 1) {
        reply(fd, opcode, text, len);
    }
}

static void http(int fd, uint8_t *data, size_t len) {
    if (memmem(data, len, "Upgrade: websocket", 18)) {
        static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\n"
                                     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        static const char OPEN[] = "0{\"sid\":\"xxxxxxxxxxxxxxxxxxxx\",\"upgrades\":[],"
                                   "\"pingInterval\":25000,\"pingTimeout\":20000,"
                                   "\"maxPayload\":1000000}";
        peers[fd].is_open = 1;
        write_bytes(fd, (const uint8_t *)ANSWER, sizeof ANSWER - 1);
        reply(fd, 1, OPEN, sizeof OPEN - 1);
    } else {
        static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        write_bytes(fd, (const uint8_t *)ANSWER, sizeof ANSWER - 1);
    }
}

/* Handle what is whole; return how many bytes that were. */
static size_t take(int fd, uint8_t *data, size_t len) {
    size_t at = 0;
    if (!peers[fd].is_open) {
        uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end) return 0;
        at = (size_t)(end + 4 - data);
        http(fd, data, at);
        if (!peers[fd].is_open) return at;
    }
    while (len - at >= 6) {
        size_t body = at + 2, size = data[at + 1] & 0x7f;
        int width = size < 126 ? 0 : size == 126 ? 2 : 8;
        if (len - body < (size_t)width + 4) break;
        if (width) size = 0;
        for (int i = 0; i < width; i++) size = size << 8 | data[body++];
        uint8_t *mask = data + body;
        body += 4;
        if (len - body < size) break;
        for (size_t i = 0; i < size; i++) data[body + i] ^= mask[i & 3];
        message(fd, data[at] & 0x0f, (char *)data + body, size);
        if (!peers[fd].is_open) return len;
        at = body + size;
    }
    return at;
}

static void readable(int fd) {
    peer *p = &peers[fd];
    if (p->in_len) memcpy(scratch, p->in, p->in_len);
    ssize_t got = recv(fd, scratch + p->in_len, sizeof scratch - p->in_len, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(fd);
        return;
    }
    size_t len = p->in_len + (size_t)got, used = take(fd, scratch, len);
    if (used < len) {
        p->in = realloc(p->in, len - used);
        memcpy(p->in, scratch + used, len - used);
    }
    p->in_len = len - used;
}

int main(int argc, char **argv) {
    static const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (argc != 2) return 2;
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("ceiling");
        return 1;
    }
    epoll_fd = epoll_create1(0);
    interest(listener, EPOLL_CTL_ADD, 0);
    for (;;) {
        static struct epoll_event happened[1024];
        int count = epoll_wait(epoll_fd, happened, 1024, -1);
        for (int i = 0; i < count; i++) {
            int fd = happened[i].data.fd;
            if (fd != listener) {
                if (happened[i].events & EPOLLOUT) flush(fd);
                if (happened[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (fd >= MAX_FDS) {
                    close(fd);
                    continue;
                }
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                if (fd > highest) highest = fd;
                interest(fd, EPOLL_CTL_ADD, 0);
            }
        }
    }
}
