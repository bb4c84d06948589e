// A load generator for small HTTP/1.1 requests: one thread, epoll, kept connections, one request on each at a time.
//
// usage: http_load PORT CONNECTIONS SECONDS RATE ADDRESSES REQUESTS
//
// PORT is on 127.0.0.1. RATE is requests a second over all connections, 0 for as many as are answered. The connections
// come from 127.0.0.1 to 127.0.0.ADDRESSES. REQUESTS is a file of whole requests, each led by its length in bytes on a
// line of its own; they are sent in turn. At the end it prints one line of
//
//     requests N ok N other N seconds S p99_us N max_us N
//
// where `ok` are answers with status 200, and the latencies are of all answers.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 16384, CONNECTIONS_MAX = 1024, LATENCIES_MAX = 4000000 };

struct request {
    const char *bytes;
    size_t length;
};

struct connection {
    int descriptor;
    int is_waiting;
    long long sent_at;
    size_t received;
    char answer[ANSWER_MAX + 1];
};

static struct request *requests;
static size_t request_count, next_request;
static struct connection *connections;
static unsigned *latencies;
static size_t answered, ok;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static long long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void load_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t length, room = 0;
    if (!file) fail(path);
    while (fscanf(file, "%zu", &length) == 1) {
        if (fgetc(file) != '\n') fail("a length is not followed by a line's end");
        if (request_count == room && !(requests = realloc(requests, (room = room * 2 + 64) * sizeof *requests)))
            fail("realloc");
        char *bytes = malloc(length);
        if (!bytes || fread(bytes, 1, length, file) != length) fail("a request is cut short");
        requests[request_count++] = (struct request){bytes, length};
    }
    fclose(file);
    if (request_count == 0) fail("no requests");
}

static int dial(int port, int address) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7F000000u + address)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&from, sizeof from) < 0) fail("bind");
    if (connect(descriptor, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    return descriptor;
}

static void send_next(struct connection *connection) {
    struct request *request = &requests[next_request++ % request_count];
    connection->received = 0;
    connection->is_waiting = 1;
    connection->sent_at = now_ns();
    if (send(connection->descriptor, request->bytes, request->length, MSG_NOSIGNAL) != (ssize_t)request->length)
        fail("send");
}

// Whether the whole answer is there.
static int is_complete(struct connection *connection) {
    connection->answer[connection->received] = 0;
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (!end) return 0;
    char *field = strcasestr(connection->answer, "\r\ncontent-length:");
    if (!field || field > end) {
        fprintf(stderr, "an answer without Content-Length:\n%s\n", connection->answer);
        exit(1);
    }
    return connection->received >= (size_t)(end + 4 - connection->answer) + strtoul(field + 17, NULL, 10);
}

static int receive(struct connection *connection) {
    size_t room = ANSWER_MAX - connection->received;
    ssize_t count = recv(connection->descriptor, connection->answer + connection->received, room, 0);
    if (count <= 0) {
        fprintf(stderr, "the server has closed a connection\n");
        exit(1);
    }
    connection->received += count;
    if (!is_complete(connection)) return 0;
    connection->is_waiting = 0;
    ok += strncmp(connection->answer + 8, " 200", 4) == 0;
    if (answered < LATENCIES_MAX) latencies[answered] = (now_ns() - connection->sent_at) / 1000;
    answered++;
    return 1;
}

static int compare(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: http_load PORT CONNECTIONS SECONDS RATE ADDRESSES REQUESTS\n");
        return 2;
    }
    int count = atoi(argv[2]), addresses = atoi(argv[5]);
    double seconds = atof(argv[3]), rate = atof(argv[4]);
    if (count < 1 || count > CONNECTIONS_MAX || addresses < 1 || addresses > 254) return 2;
    load_requests(argv[6]);
    connections = calloc(count, sizeof *connections);
    latencies = malloc(LATENCIES_MAX * sizeof *latencies);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || !latencies || epoll < 0) fail("start");
    for (int i = 0; i < count; i++) {
        connections[i].descriptor = dial(atoi(argv[1]), 1 + i % addresses);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].descriptor, &event) < 0) fail("epoll_ctl");
    }
    long long start = now_ns(), end = start + (long long)(seconds * 1e9);
    size_t started = 0;
    int turn = 0, waiting = 0;
    if (rate == 0)
        for (; waiting < count; waiting++) send_next(&connections[waiting]);
    while (now_ns() < end || waiting > 0) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, rate > 0 ? 1 : 1000);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        int is_over = now_ns() >= end;
        for (int i = 0; i < ready; i++) {
            if (!receive(events[i].data.ptr)) continue;
            waiting--;
            if (rate == 0 && !is_over) {
                send_next(events[i].data.ptr);
                waiting++;
            }
        }
        // With a rate: what is due by now, on whichever connections are free.
        while (rate > 0 && !is_over && waiting < count && started < (now_ns() - start) / 1e9 * rate) {
            while (connections[turn].is_waiting) turn = (turn + 1) % count;
            send_next(&connections[turn]);
            started++;
            waiting++;
        }
    }
    double elapsed = (now_ns() - start) / 1e9;
    size_t kept = answered < LATENCIES_MAX ? answered : LATENCIES_MAX;
    if (kept == 0) fail("no answers");
    qsort(latencies, kept, sizeof *latencies, compare);
    printf("requests %zu ok %zu other %zu seconds %.3f p99_us %u max_us %u\n", answered, ok, answered - ok, elapsed,
           latencies[kept * 99 / 100], latencies[kept - 1]);
    return 0;
}
