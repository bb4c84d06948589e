// A load generator for chats over WebSockets: one thread, epoll, its own RFC 6455 client.
//
// usage: chat_load USERS CONNECTIONS WINDOW RATE DIRECTIONS WARMUP SECONDS PORT...
//
// USERS is a file of `user_id session_id user_type` lines; connection i is line i, and talks to connection i ^ 1. The pairs
// take the PORTs (on 127.0.0.1) in turn, the second of a pair the next one: with several ports every message goes from
// one to another, and both ways. With DIRECTIONS 1 only the even ones write, with 2 all do. A writer keeps WINDOW messages
// under way, each until it is delivered and acknowledged; or with a RATE all write so many a second, answered or not;
// with neither the connections are held. It prints
//
//     opened N
//     begin
//     end delivered N acked N faults N echoes N
//
// each at its time, so that a reader of the lines can take the servers' CPU time between the last two; and at last
// `lost N`, what was not there two seconds after the end. A fault is a message out of order, doubled or misdirected, an
// `Error`, or a lost connection; an echo is a writer's own message that came besides its `Ack`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 1 << 16, OUT_MAX = 1 << 18, PADDING = 100, CONNECTIONS_PER_ADDRESS = 20000, EVENTS = 256 };

struct connection {
    int descriptor, is_writer, is_dirty;
    long long sent, delivered, acked;  // delivered: of what it wrote
    size_t received, waiting;
    char *in, *out, user[72], session[160], type[16];
};

static struct connection *connections;
static int count, window, run;
static long long delivered, acked, faults, echoes, sent;
static double rate;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
    fprintf(stderr, "chat_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void fault(const char *what, const char *text, size_t length) {
    if (faults++ < 3) fprintf(stderr, "chat_load: %s: %.*s\n", what, (int)(length > 200 ? 200 : length), text);
}

static void queue(struct connection *c, int opcode, const char *data, size_t length) {
    char *p = c->out + c->waiting;
    if (c->waiting + length + 8 > OUT_MAX) return fault("the server does not read", c->user, strlen(c->user));
    *p++ = (char)(0x80 | opcode);
    if (length < 126) {
        *p++ = (char)(0x80 | length);
    } else {
        *p++ = (char)(0x80 | 126);
        *p++ = (char)(length >> 8);
        *p++ = (char)length;
    }
    const char mask[4] = {0x11, 0x5a, 0x3c, 0x77};
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < length; i++) p[i] = data[i] ^ mask[i & 3];
    c->waiting = (size_t)(p + length - c->out);
}

static void write_message(struct connection *c) {
    char text[512];
    int length = snprintf(
        text, sizeof text, "{\"type\":\"Chat\",\"to_user_id\":\"%s\",\"content\":\"#%08x:%08x:%010lld#%0*d\"}",
        connections[(c - connections) ^ 1].user, run, (unsigned)(c - connections), c->sent, PADDING, 0);
    queue(c, 1, text, (size_t)length);
    c->sent++;
    sent++;
}

static void flush(struct connection *c) {
    size_t done = 0;
    while (done < c->waiting) {
        ssize_t n = send(c->descriptor, c->out + done, c->waiting - done, MSG_NOSIGNAL);
        if (n <= 0) break;
        done += (size_t)n;
    }
    memmove(c->out, c->out + done, c->waiting - done);
    c->waiting -= done;
}

static void take_text(struct connection *c, const char *text, size_t length) {
    if (memmem(text, length, "\"type\":\"Ack\"", 12)) {
        c->acked++;
        acked++;
        c->is_dirty = 1;
        return;
    }
    if (memmem(text, length, "\"type\":\"Error\"", 14)) return fault("refused", text, length);
    const char *mark = memmem(text, length, "\"content\":\"#", 12);
    if (!mark) return;
    struct connection *writer = &connections[(c - connections) ^ 1];
    // What an earlier run has left comes first.
    if ((int)strtoul(mark + 12, NULL, 16) != run) return;
    // Its own, read back before the log's answer was here.
    if ((long)strtoul(mark + 21, NULL, 16) == c - connections) {
        echoes++;
        return;
    }
    long long number = strtoll(mark + 30, NULL, 10);
    if (number != writer->delivered) fault("not the next message", text, length);
    writer->delivered = number + 1;
    writer->is_dirty = 1;
    delivered++;
}

static void take_frames(struct connection *c) {
    size_t at = 0;
    while (c->received - at >= 2) {
        const unsigned char *f = (const unsigned char *)c->in + at;
        size_t length = f[1] & 127, head = length == 126 ? 4 : length == 127 ? 10 : 2;
        if (c->received - at < head) break;
        if (head > 2) {
            length = 0;
            for (size_t i = 2; i < head; i++) length = length << 8 | f[i];
        }
        if (c->received - at < head + length) break;
        const char *data = c->in + at + head;
        if ((f[0] & 15) == 1) take_text(c, data, length);
        if ((f[0] & 15) == 8) fault("closed", c->user, strlen(c->user));
        if ((f[0] & 15) == 9) {
            queue(c, 10, data, length);
            c->is_dirty = 1;
        }
        at += head + length;
    }
    memmove(c->in, c->in + at, c->received - at);
    c->received -= at;
}

static void take_input(struct connection *c) {
    ssize_t n = recv(c->descriptor, c->in + c->received, IN_MAX - c->received, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        fault("lost its connection", c->user, strlen(c->user));
        close(c->descriptor);
        return;
    }
    c->received += (size_t)n;
    take_frames(c);
}

static void open_connection(struct connection *c, int port, int epoll) {
    int index = (int)(c - connections), one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index / CONNECTIONS_PER_ADDRESS));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (c->descriptor < 0 || bind(c->descriptor, (void *)&from, sizeof from)) die("bind");
    if (connect(c->descriptor, (void *)&to, sizeof to)) die("connect");
    char request[600];
    int length = snprintf(
        request, sizeof request,
        "GET /ws?user_id=%s&session_id=%s&user_type=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        c->user, c->session, c->type, port);
    if (send(c->descriptor, request, (size_t)length, 0) != length) die("send");
    char *end = NULL;
    while (!end) {
        ssize_t n = recv(c->descriptor, c->in + c->received, IN_MAX - c->received, 0);
        if (n <= 0) die("handshake");
        c->received += (size_t)n;
        end = memmem(c->in, c->received, "\r\n\r\n", 4);
    }
    if (memcmp(c->in, "HTTP/1.1 101", 12)) {
        fprintf(stderr, "chat_load: %.*s\n", (int)c->received, c->in);
        exit(1);
    }
    c->received -= (size_t)(end + 4 - c->in);
    memmove(c->in, end + 4, c->received);
    fcntl(c->descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->descriptor, &event)) die("epoll_ctl");
    take_frames(c);
}

static void turn(int epoll, int writes) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, 1);
    for (int i = 0; i < n; i++) take_input(events[i].data.ptr);
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        if (!c->is_dirty && !c->waiting) continue;
        c->is_dirty = 0;
        while (writes && window && c->is_writer) {
            long long done = c->delivered < c->acked ? c->delivered : c->acked;
            if (c->sent - done >= window) break;
            write_message(c);
        }
        flush(c);
    }
}

// Loops until a time; writes at the rate, if there is one.
static void loop(int epoll, double until, int writes) {
    static int next;
    static double owed;
    double last = now();
    for (double t = last; t < until; t = now()) {
        for (owed += writes && rate > 0 ? rate * (t - last) : 0; owed >= 1; owed--) {
            do next = (next + 1) % count; while (!connections[next].is_writer);
            write_message(&connections[next]);
            connections[next].is_dirty = 1;
        }
        last = t;
        turn(epoll, writes);
        if (!writes && delivered >= sent && acked >= sent) break;
    }
}

int main(int argc, char **argv) {
    if (argc < 9) return fprintf(stderr, "usage: see the head of chat_load.c\n"), 2;
    FILE *users = fopen(argv[1], "r");
    if (!users) die(argv[1]);
    count = atoi(argv[2]);
    window = atoi(argv[3]);
    rate = atof(argv[4]);
    int directions = atoi(argv[5]), ports = argc - 8, epoll = epoll_create1(0);
    run = (int)time(NULL) ^ getpid() << 16;
    connections = calloc((size_t)count, sizeof *connections);
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        if (fscanf(users, "%71s %159s %15s", c->user, c->session, c->type) != 3) die("too few users");
        c->in = malloc(IN_MAX);
        c->out = malloc(OUT_MAX);
        c->is_writer = directions == 2 || i % 2 == 0;
        c->is_dirty = 1;
        // Customers on every gateway, and each one's agent on the next.
        open_connection(c, atoi(argv[8 + (i / 2 + i % 2) % ports]), epoll);
        // Pings are answered meanwhile.
        if (i % 200 == 199) turn(epoll, 0);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("opened %d\n", count);
    int writes = window > 0 || rate > 0;
    if (!writes) sent = 1;  // held until its time
    loop(epoll, now() + atof(argv[6]), writes);
    for (int i = 0; i < count; i++) connections[i].is_dirty = 1;
    long long first_delivered = delivered, first_acked = acked;
    printf("begin\n");
    loop(epoll, now() + atof(argv[7]), writes);
    printf("end delivered %lld acked %lld faults %lld echoes %lld\n", delivered - first_delivered, acked - first_acked,
           faults, echoes);
    if (writes) loop(epoll, now() + 2, 0);
    printf("lost %lld\n", writes ? sent - delivered : 0);
    return faults > 0;
}
