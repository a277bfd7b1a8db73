// The limit of the timers bench: a timing wheel over epoll_pwait2 and nothing else. No slots that
// scripts could name, no checks, no microtasks. Prints one JSON object of what it measured.
//
//   <program> <timers> <lateness samples> <seconds of intervals>

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// Four levels of 256 slots; a tick of the first is 2^16 ns, so the last reaches days.
enum { LEVELS = 4, SLOTS = 256, TICK_SHIFT = 16 };
#define NONE UINT64_MAX

typedef struct timer timer;
struct timer {
  timer *next, **link;
  uint64_t deadline, every;
  void (*callback)(timer *);
  uint64_t data;
  uint32_t level, slot;
};

static timer *wheel[LEVELS][SLOTS];
static uint64_t used[LEVELS][SLOTS / 64];
static uint64_t tick, pending, fired, skipped;
static int epoll;
// How late the first of many may be, so that they fire together: as in the runtimes, a millisecond.
static uint64_t batch_ns;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cpu_ns(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
         (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static uint64_t resident(void) {
  long total = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &total, &pages) != 2) exit(1);
  fclose(file);
  return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void insert(timer *t) {
  uint64_t at = t->deadline >> TICK_SHIFT;
  if (at < tick) at = tick;
  uint32_t level = 0;
  // The level whose slots tell the two apart: the highest 8 bits that differ.
  while (level < LEVELS - 1 && (at ^ tick) >> (8 * (level + 1))) level++;
  t->level = level;
  t->slot = (uint32_t)(at >> (8 * level)) & (SLOTS - 1);
  timer **head = &wheel[level][t->slot];
  t->next = *head;
  t->link = head;
  if (*head) (*head)->link = &t->next;
  *head = t;
  used[level][t->slot / 64] |= 1ull << (t->slot % 64);
}

static void take(timer *t) {
  *t->link = t->next;
  if (t->next) t->next->link = t->link;
  if (wheel[t->level][t->slot] == NULL)
    used[t->level][t->slot / 64] &= ~(1ull << (t->slot % 64));
}

static void start(timer *t, uint64_t delay, uint64_t every, void (*callback)(timer *)) {
  const uint64_t now = now_ns();
  if (pending++ == 0) tick = now >> TICK_SHIFT;
  t->deadline = now + delay;
  t->every = every;
  t->callback = callback;
  insert(t);
}

static void stop(timer *t) {
  take(t);
  pending--;
}

static int next_slot(uint32_t level, uint32_t from) {
  for (uint32_t word = from / 64; word < SLOTS / 64; word++) {
    uint64_t bits = used[level][word];
    if (word == from / 64) bits &= ~0ull << (from % 64);
    if (bits) return (int)(word * 64 + (uint32_t)__builtin_ctzll(bits));
  }
  return -1;
}

// Moves to the first tick that has timers, but not beyond `limit`. Whether it has.
static int advance(uint64_t limit) {
  for (;;) {
    int slot = next_slot(0, (uint32_t)tick & (SLOTS - 1));
    if (slot >= 0) {
      const uint64_t at = (tick & ~(uint64_t)(SLOTS - 1)) | (uint64_t)slot;
      if (at > limit) return 0;
      tick = at;
      return 1;
    }
    uint32_t level = 1;
    for (; level < LEVELS; level++) {
      const uint32_t here = (uint32_t)(tick >> (8 * level)) & (SLOTS - 1);
      slot = here + 1 < SLOTS ? next_slot(level, here + 1) : -1;
      if (slot >= 0) break;
    }
    if (level == LEVELS) return 0;
    const uint64_t above = tick >> (8 * (level + 1)) << (8 * (level + 1));
    const uint64_t at = above | (uint64_t)slot << (8 * level);
    if (at > limit) return 0;
    tick = at;
    timer *t = wheel[level][slot];
    wheel[level][slot] = NULL;
    used[level][slot / 64] &= ~(1ull << (slot % 64));
    while (t) {
      timer *next = t->next;
      insert(t);
      t = next;
    }
  }
}

static void fire(timer *t, uint64_t now) {
  take(t);
  fired++;
  if (t->every) {
    const uint64_t missed = (now - t->deadline) / t->every;
    skipped += missed;
    t->deadline += (missed + 1) * t->every;
    insert(t);
  } else {
    pending--;
  }
  t->callback(t);
}

static void run_due(void) {
  uint64_t now = now_ns();
  while (pending && advance(now >> TICK_SHIFT)) {
    int any = 0;
    timer *next;
    for (timer *t = wheel[0][tick & (SLOTS - 1)]; t; t = next) {
      // No callback here touches another timer than its own.
      next = t->next;
      if (t->deadline > now) continue;
      fire(t, now);
      any = 1;
    }
    // What is left of this tick is due within it.
    if (!any || wheel[0][tick & (SLOTS - 1)]) return;
  }
}

static uint64_t next_deadline(void) {
  uint64_t least = NONE;
  const int slot = next_slot(0, (uint32_t)tick & (SLOTS - 1));
  if (slot >= 0) {
    for (timer *t = wheel[0][slot]; t; t = t->next)
      if (t->deadline < least) least = t->deadline;
    return least;
  }
  for (uint32_t level = 1; level < LEVELS; level++) {
    const uint32_t here = (uint32_t)(tick >> (8 * level)) & (SLOTS - 1);
    const int far = here + 1 < SLOTS ? next_slot(level, here + 1) : -1;
    if (far < 0) continue;
    const uint64_t above = tick >> (8 * (level + 1)) << (8 * (level + 1));
    return (above | (uint64_t)far << (8 * level)) << TICK_SHIFT;
  }
  return least;
}

static void turn(void) {
  const uint64_t at = next_deadline() + batch_ns, now = now_ns();
  if (at > now) {
    const uint64_t left = at - now;
    struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    struct epoll_event event;
    epoll_pwait2(epoll, &event, 1, &wait, NULL);
  }
  run_due();
}

// --- measurements ----------------------------------------------------------------------------

#define MS 1000000u

// A minute and some whole milliseconds, so many different ones.
static uint64_t mixed(uint64_t n, uint64_t distinct) { return (60000 + n % distinct) * MS; }

static void nothing(timer *t) { (void)t; }

// Nanoseconds each.
static double each(uint64_t from, uint64_t count) {
  return (double)(now_ns() - from) / (double)count;
}

static void allocation(timer *timers, uint64_t count, uint64_t distinct, const char *name) {
  for (uint64_t n = 0; n < count; n++) timers[n].data = mixed(n, distinct);
  const uint64_t begin = now_ns();
  for (uint64_t n = 0; n < count; n++) start(&timers[n], timers[n].data, 0, nothing);
  printf("\"%s\": %.2f, ", name, each(begin, count));
  const uint64_t middle = now_ns();
  for (uint64_t n = 0; n < count; n++) stop(&timers[n]);
  if (distinct == 1000) printf("\"clear\": %.2f, ", each(middle, count));
}

static void churning(timer *timers, uint64_t count) {
  enum { WINDOW = 1000 };
  for (uint64_t n = 0; n <= WINDOW; n++) timers[n].data = mixed(n, WINDOW);
  for (uint64_t n = 0; n < WINDOW; n++) start(&timers[n], timers[n].data, 0, nothing);
  const uint64_t at_once = now_ns();
  for (uint64_t n = 0; n < count; n++) {
    start(&timers[WINDOW], timers[n % WINDOW].data, 0, nothing);
    stop(&timers[WINDOW]);
  }
  printf("\"churn\": %.2f, ", each(at_once, count));
  const uint64_t later = now_ns();
  for (uint64_t n = 0; n < count; n++) {
    timer *t = &timers[n % WINDOW];
    stop(t);
    start(t, t->data, 0, nothing);
  }
  printf("\"window\": %.2f, ", each(later, count));
  for (uint64_t n = 0; n < WINDOW; n++) stop(&timers[n]);
}

static void firing(timer *timers, uint64_t count, int ordered, const char *name) {
  const uint64_t span_ms = count < 100000 ? count / 100 : 1000;
  for (uint64_t n = 0; n < count; n++) {
    const uint64_t ms = ordered ? n * span_ms / count : n % span_ms;
    start(&timers[n], (count / 2000 + ms) * MS, 0, nothing);
  }
  const uint64_t before = cpu_ns();
  batch_ns = MS;
  while (pending) turn();
  batch_ns = 0;
  printf("\"%s\": %.2f, ", name, (double)(cpu_ns() - before) / (double)count);
}

static uint64_t sampled, sampled_most, called_at;
static double *late_us;

static void sample(timer *t) {
  const uint64_t now = now_ns();
  if (called_at) late_us[sampled++] = ((double)(now - called_at) - 1e6) / 1000;
  if (sampled == sampled_most) return;
  called_at = now_ns();
  start(t, MS, 0, sample);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void lateness(timer *timers, uint64_t far, const char *name) {
  for (uint64_t n = 0; n < far; n++) start(&timers[n + 1], mixed(n, 1000), 0, nothing);
  sampled = called_at = 0;
  sample(timers);
  while (sampled < sampled_most) turn();
  for (uint64_t n = 0; n < far; n++) stop(&timers[n + 1]);
  qsort(late_us, sampled, sizeof *late_us, by_value);
  printf("\"%s50\": %.2f, \"%s99\": %.2f, ", name, late_us[sampled / 2], name,
         late_us[sampled * 99 / 100]);
}

static uint64_t ticked_at;

static void ticked(timer *t) {
  (void)t;
  ticked_at = now_ns();
}

static void intervals(timer *timers, double seconds) {
  const uint64_t span = (uint64_t)(seconds * 1e9);
  const uint64_t begin = now_ns();
  fired = skipped = 0;
  start(timers, MS, MS, ticked);
  while (now_ns() - begin < span) turn();
  stop(timers);
  const double passed_ms = (double)(ticked_at - begin) / MS;
  printf("\"drift\": %.3f, ", passed_ms - (double)(fired + skipped));
  for (uint64_t n = 0; n < 1000; n++) start(&timers[n], 10 * MS, 10 * MS, nothing);
  const uint64_t from = now_ns(), before = cpu_ns();
  while (now_ns() - from < span) turn();
  printf("\"cpu\": %.3f", (double)(cpu_ns() - before) * 100 / (double)(now_ns() - from));
  for (uint64_t n = 0; n < 1000; n++) stop(&timers[n]);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const uint64_t count = strtoull(argv[1], NULL, 10);
  sampled_most = strtoull(argv[2], NULL, 10);
  late_us = calloc(sampled_most, sizeof *late_us);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  prctl(PR_SET_TIMERSLACK, 1L);
  const uint64_t before = resident();
  timer *timers = malloc((count > 20000 ? count : 20000) * sizeof *timers);
  for (uint64_t n = 0; n < count; n++) timers[n].data = 1;
  const uint64_t bytes = resident() - before;
  printf("{\"memory\": %.1f, ", (double)bytes / (double)count);
  allocation(timers, count, 1000, "create");
  allocation(timers, count, 60000, "spread");
  churning(timers, count);
  firing(timers, count, 0, "fire");
  firing(timers, count, 1, "ordered");
  lateness(timers, 0, "idle");
  lateness(timers, 10000, "busy");
  intervals(timers, strtod(argv[3], NULL));
  puts("}");
  return 0;
}
