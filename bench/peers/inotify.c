// The limit of the watch bench: inotify and nothing else. Watches a folder with all below it, and new
// folders; forgets nothing, keeps nothing, pairs nothing. Speaks as `bench/watch.child.mjs` does: a line
// when all is watched; once its input ends and nothing came for a while, one JSON object, and in <times>
// when each file `f<index>` was heard of.
//
//   <program> <folder> <files> <times> <milliseconds of quiet>

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { WATCHES_MAX = 65536, MASK = IN_CREATE | IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_ONLYDIR };

static int inotify;
static char *paths[WATCHES_MAX];
static double *at;
static uint8_t *churned;
static size_t files, events, lost_said;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double cpu_ms(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

/** A file was made, by its name. */
static void seen(const char *name) {
  size_t index = *name == 'f' ? strtoul(name + 1, NULL, 10) : files;
  if (index < files && at[index] == 0) at[index] = now_ms(CLOCK_REALTIME);
}

/** Watches first, then lists: what comes between the two is seen twice and not lost. */
static void watch(const char *path) {
  int number = inotify_add_watch(inotify, path, MASK);
  if (number < 0 || number >= WATCHES_MAX) fail(path);
  free(paths[number]);
  paths[number] = strdup(path);
  DIR *folder = opendir(path);
  if (folder == NULL) fail(path);
  char below[4096];
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (*entry->d_name == '.') continue;
    snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
    if (entry->d_type == DT_DIR) watch(below);
    else seen(entry->d_name);
  }
  closedir(folder);
}

static void hear(const struct inotify_event *event) {
  if (event->mask & IN_Q_OVERFLOW) lost_said++;
  if (event->len == 0) return;
  events++;
  if (event->mask & IN_ISDIR) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", paths[event->wd], event->name);
    if (event->mask & (IN_CREATE | IN_MOVED_TO)) watch(path);
    return;
  }
  if (event->mask & IN_CREATE) seen(event->name);
  size_t index = *event->name == 'b' ? strtoul(event->name + 1, NULL, 10) : files;
  if (index < files) churned[index] |= event->mask & IN_MOVED_TO ? 1 : event->mask & IN_DELETE ? 2 : 0;
}

static void drain(void) {
  static char buffer[65536] __attribute__((aligned(8)));
  for (ssize_t got; (got = read(inotify, buffer, sizeof buffer)) > 0;) {
    for (char *next = buffer; next < buffer + got;) {
      const struct inotify_event *event = (const struct inotify_event *)(void *)next;
      hear(event);
      next += sizeof *event + event->len;
    }
  }
}

static void report(const char *out, double cpu) {
  size_t lost = 0, churn_lost = 0;
  for (size_t i = 0; i < files; i++) {
    lost += at[i] == 0;
    churn_lost += churned[i] != 3;
  }
  FILE *file = fopen(out, "w");
  if (file == NULL || fwrite(at, sizeof *at, files, file) != files) fail(out);
  fclose(file);
  printf("{\"events\":%zu,\"lost\":%zu,\"churnLost\":%zu,\"said\":%zu,\"cpu_ms\":%f}\n", events, lost,
         churn_lost, lost_said, cpu);
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "%s: see the head of its source\n", argv[0]), 2;
  files = strtoul(argv[2], NULL, 10);
  at = calloc(files + 1, sizeof *at);
  churned = calloc(files + 1, 1);
  double begin = now_ms(CLOCK_MONOTONIC);
  inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify < 0 || at == NULL || churned == NULL) fail("inotify");
  watch(argv[1]);
  printf("{\"ready_ms\":%f}\n", now_ms(CLOCK_MONOTONIC) - begin);
  fflush(stdout);
  double cpu = cpu_ms();
  struct pollfd sources[2] = {{inotify, POLLIN, 0}, {0, POLLIN, 0}};
  int quiet = -1;
  // The input ends when the work is done; then it waits for silence.
  while (poll(sources, quiet < 0 ? 2 : 1, quiet) > 0) {
    if (sources[0].revents & POLLIN) drain();
    char byte;
    if (quiet < 0 && sources[1].revents && read(0, &byte, 1) == 0) quiet = atoi(argv[4]);
  }
  report(argv[3], cpu_ms() - cpu);
  return 0;
}
