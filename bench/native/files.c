// Makes, moves and deletes files at a rate, for the watchers that `bench/watch.mjs` measures. Of each
// file the moment before it was made is written to <times>: milliseconds since 1970, a double each.
//
//   <program> creates <folder> <count> <a second> <times>  in turn in each folder of `tree <folder> 10 10 0`
//   <program> folders <folder> <folders> <files in each> <times>
//   <program> churn <folder> <count> <a second>           create, write, rename and delete
//   <program> tree <folder> <folders> <folders in each> <files in each of these>
//   <program> touch <folder> <folders> <folders in each> <files in each of these>

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// It sleeps when it is ahead by so much.
enum { AHEAD_NS = 50000 };

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pace(uint64_t begin, uint64_t index, uint64_t rate) {
  if (rate == 0) return;
  uint64_t due = begin + index * 1000000000u / rate;
  if (due < now_ns(CLOCK_MONOTONIC) + AHEAD_NS) return;
  struct timespec t = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void make(const char *path, const char *content) {
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) fail(path);
  if (*content && write(fd, content, strlen(content)) < 0) fail(path);
  close(fd);
}

static void make_folder(const char *path) {
  if (mkdir(path, 0755) != 0) fail(path);
}

static void save(const char *path, const double *times, size_t count) {
  FILE *file = fopen(path, "w");
  if (file == NULL || fwrite(times, sizeof *times, count, file) != count) fail(path);
  fclose(file);
}

static double *times_of(size_t count) {
  double *times = calloc(count, sizeof *times);
  if (times == NULL) fail("memory");
  return times;
}

static void creates(const char *folder, size_t count, uint64_t rate, const char *out) {
  char path[4096];
  double *times = times_of(count);
  uint64_t begin = now_ns(CLOCK_MONOTONIC);
  for (size_t i = 0; i < count; i++) {
    pace(begin, i, rate);
    snprintf(path, sizeof path, "%s/t%zu/t%zu/f%zu", folder, i / 10 % 10, i % 10, i);
    times[i] = (double)now_ns(CLOCK_REALTIME) / 1e6;
    make(path, "");
  }
  save(out, times, count);
}

static void folders(const char *folder, size_t count, size_t files, const char *out) {
  char path[4096];
  double *times = times_of(count * files);
  for (size_t i = 0; i < count * files; i++) {
    snprintf(path, sizeof path, "%s/d%zu", folder, i / files);
    if (i % files == 0) make_folder(path);
    snprintf(path, sizeof path, "%s/d%zu/f%zu", folder, i / files, i);
    times[i] = (double)now_ns(CLOCK_REALTIME) / 1e6;
    make(path, "");
  }
  save(out, times, count * files);
}

static void churn(const char *folder, size_t count, uint64_t rate) {
  char from[4096], to[4096];
  uint64_t begin = now_ns(CLOCK_MONOTONIC);
  for (size_t i = 0; i < count; i++) {
    pace(begin, i, rate);
    snprintf(from, sizeof from, "%s/a%zu", folder, i);
    snprintf(to, sizeof to, "%s/b%zu", folder, i);
    make(from, "content");
    if (rename(from, to) != 0 || unlink(to) != 0) fail(to);
  }
}

static void tree(const char *folder, size_t outer, size_t inner, size_t files, int fresh) {
  char path[4096];
  for (size_t i = 0; i < outer; i++) {
    snprintf(path, sizeof path, "%s/t%zu", folder, i);
    if (fresh) make_folder(path);
    for (size_t k = 0; k < inner; k++) {
      snprintf(path, sizeof path, "%s/t%zu/t%zu", folder, i, k);
      if (fresh) make_folder(path);
      for (size_t file = 0; file < files; file++) {
        snprintf(path, sizeof path, "%s/t%zu/t%zu/g%zu", folder, i, k, file);
        make(path, fresh ? "" : "more");
      }
    }
  }
}

int main(int argc, char **argv) {
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  const char *what = argc > 4 ? argv[1] : "";
  size_t first = argc > 4 ? (size_t)atol(argv[3]) : 0, second = argc > 4 ? (size_t)atol(argv[4]) : 0;
  if (strcmp(what, "creates") == 0 && argc == 6) creates(argv[2], first, second, argv[5]);
  else if (strcmp(what, "folders") == 0 && argc == 6) folders(argv[2], first, second, argv[5]);
  else if (strcmp(what, "churn") == 0 && argc == 5) churn(argv[2], first, second);
  else if (strcmp(what, "tree") == 0 && argc == 6) tree(argv[2], first, second, (size_t)atol(argv[5]), 1);
  else if (strcmp(what, "touch") == 0 && argc == 6) tree(argv[2], first, second, (size_t)atol(argv[5]), 0);
  else return fprintf(stderr, "%s: see the head of its source\n", argv[0]), 2;
  return 0;
}
