// redis_load PORT DEPTH COUNT: what redis-load does, in C: each command is formatted into one buffer, a pipeline goes
// out in one write, answers are parsed as far as bulk strings go. Prints microseconds a call: CPU time, elapsed.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char out[1 << 20], in[1 << 16];

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static char *bulk(char *p, const char *bytes, size_t count) {
    p += sprintf(p, "$%zu\r\n", count);
    memcpy(p, bytes, count);
    memcpy(p + count, "\r\n", 2);
    return p + count + 2;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int depth = atoi(argv[2]), count = atoi(argv[3]), s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(s, (struct sockaddr *)&a, sizeof a)) return perror("connect"), 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char text[250];
    memset(text, 'x', sizeof text);
    uint64_t digest = (uint64_t)now() << 20 | 1;
    double used = cpu(), begun = now();
    for (int sent = 0; sent < count;) {
        char *p = out;
        int batch = count - sent < depth ? count - sent : depth;
        for (int i = 0; i < batch; i++, sent++) {
            char key[40], ids[44], id[12];
            int k = sprintf(key, "{c:user-%d}", sent % 2000), n = sprintf(ids, "{c:user-%d}:i", sent % 2000);
            digest += 0x9e3779b97f4a7c15;
            memcpy(id, &digest, 8);
            memcpy(id + 8, &sent, 4);
            p += sprintf(p, "*7\r\n");
            p = bulk(bulk(bulk(p, "FCALL", 5), "append_1", 8), "2", 1);
            p = bulk(bulk(bulk(bulk(p, key, k), ids, n), id, 12), text, sizeof text);
        }
        for (char *w = out; w < p;) {
            ssize_t n = write(s, w, p - w);
            if (n <= 0) return perror("write"), 1;
            w += n;
        }
        size_t held = 0;
        for (int got = 0; got < batch;) {
            ssize_t n = read(s, in + held, sizeof in - held);
            if (n <= 0) return perror("read"), 1;
            held += n;
            size_t at = 0;
            for (char *end; got < batch && (end = memchr(in + at, '\n', held - at)); got++) {
                if (in[at] != '$') return fprintf(stderr, "%.*s\n", (int)(held - at), in + at), 1;
                size_t next = (end + 1 - in) + strtoul(in + at + 1, NULL, 10) + 2;
                if (next > held) break;
                // A client hands its caller a copy.
                free(memcpy(malloc(next - (end + 1 - in)), end + 1, next - (end + 1 - in)));
                at = next;
            }
            memmove(in, in + at, held -= at);
        }
    }
    printf("%g %g\n", (cpu() - used) / count, (now() - begun) / count);
}
