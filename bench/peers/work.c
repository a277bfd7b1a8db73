// The work of the readiness bench: descriptors are made ready in turn, a burst at a time, and each
// is read by the handler that the peer calls. Prints nanoseconds per event and a hash of the work.
//
//   <program> <eventfd|pipe> <level|edge> <descriptors> <burst> <events>

#define _GNU_SOURCE
#include "work.h"
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int *read_ends, *write_ends;
static uint64_t handled, hash;

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// The last processor this process may use: the first one takes most interrupts.
static void pin(void) {
  cpu_set_t allowed, one;
  must(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity");
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &allowed)) last = cpu;
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  must(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
}

static void make_descriptors(int count, int pipes) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  read_ends = calloc((size_t)count, sizeof(int));
  write_ends = calloc((size_t)count, sizeof(int));
  for (int n = 0; n < count; n++) {
    int ends[2];
    if (pipes) {
      must(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0, "pipe2");
    } else {
      ends[0] = ends[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
      must(ends[0] >= 0, "eventfd");
    }
    read_ends[n] = ends[0];
    write_ends[n] = ends[1];
  }
}

void work_handle(int slot) {
  uint64_t value = 0;
  must(read(read_ends[slot], &value, sizeof value) == sizeof value, "read");
  handled += value;
  // A sum: whoever watches may hand out the same events in another order.
  hash += ((uint64_t)slot + 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)slot << 7;
}

static void run(int count, int burst, uint64_t events) {
  const uint64_t one = 1;
  int next = 0;
  for (uint64_t sent = 0; sent < events;) {
    for (int n = 0; n < burst; n++) {
      must(write(write_ends[next], &one, sizeof one) == sizeof one, "write");
      if (++next == count) next = 0;
    }
    sent += (uint64_t)burst;
    while (handled < sent) peer_collect();
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: %s <eventfd|pipe> <level|edge> <descriptors> <burst> <events>\n", *argv);
    return 2;
  }
  const int count = atoi(argv[3]), burst = atoi(argv[4]);
  const uint64_t events = strtoull(argv[5], NULL, 10) / (uint64_t)burst * (uint64_t)burst;
  pin();
  make_descriptors(count, strcmp(argv[1], "pipe") == 0);
  if (peer_open(read_ends, count, strcmp(argv[2], "edge") == 0) != 0) {
    puts("none");
    return 0;
  }
  // Once around first, so that every page and branch has been seen.
  run(count, burst, (uint64_t)(count + burst - 1) / (uint64_t)burst * (uint64_t)burst);
  handled = 0;
  hash = 0;
  const uint64_t start = now_ns();
  run(count, burst, events);
  const uint64_t end = now_ns();
  printf("%.3f %016llx\n", (double)(end - start) / (double)events, (unsigned long long)hash);
  return 0;
}
