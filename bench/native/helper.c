// What the benches need of the machine and script cannot do: descriptors, a thread that wakes a
// sleeping script at known moments, a process that does, and callbacks from native code.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

// --- descriptors -----------------------------------------------------------------------------

// Room for descriptors: the soft limit becomes the hard one. Returns it.
EXPORT double bench_raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return (double)limit.rlim_cur;
}

EXPORT int32_t bench_eventfd(void) {
  return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

// Writes 1 to each of `count` eventfds.
EXPORT void bench_make_ready(const int32_t *fds, uint32_t count) {
  const uint64_t one = 1;
  for (uint32_t n = 0; n < count; n++)
    if (write(fds[n], &one, sizeof one) != sizeof one) abort();
}

// What an eventfd counted since it was read last; 0 when it is not readable.
EXPORT uint32_t bench_read(int32_t fd) {
  uint64_t value = 0;
  return read(fd, &value, sizeof value) == sizeof value ? (uint32_t)value : 0;
}

EXPORT void bench_close(int32_t fd) {
  close(fd);
}

// --- callbacks -------------------------------------------------------------------------------

typedef void (*Callback)(uint32_t);

EXPORT void bench_call(Callback callback, uint32_t count) {
  for (uint32_t n = 0; n < count; n++) callback(n);
}

// --- waking ----------------------------------------------------------------------------------

// `struct ukevent`, as docs/design.md has it.
struct record {
  uint32_t id[2], type, event, req_flags, ret_flags, ret_data, ret_extra, user[2];
};

typedef int32_t (*Control)(int32_t, uint32_t, uint32_t, struct record *);

static struct {
  pthread_t thread;
  pid_t process;
  // When each wake-up was sent, by the monotonic clock; shared with the process.
  double *sent_ns;
  uint32_t samples, gap_us;
  int32_t fd;
  Control control;
  struct record record;
  uint32_t command;
  Callback callback;
} waker;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pause_us(uint32_t us) {
  struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

static int prepare(uint32_t samples, uint32_t gap_us) {
  const size_t bytes = samples * sizeof(double);
  waker.sent_ns = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  waker.samples = samples;
  waker.gap_us = gap_us;
  return waker.sent_ns == MAP_FAILED ? -1 : 0;
}

static void *trigger_all(void *unused) {
  for (uint32_t n = 0; n < waker.samples; n++) {
    pause_us(waker.gap_us);
    struct record record = waker.record;
    record.event |= n;
    waker.sent_ns[n] = now_ns();
    waker.control(waker.fd, waker.command, 1, &record);
  }
  return unused;
}

static void *call_all(void *unused) {
  for (uint32_t n = 0; n < waker.samples; n++) {
    pause_us(waker.gap_us);
    waker.sent_ns[n] = now_ns();
    waker.callback(n);
  }
  return unused;
}

// A thread triggers the user event that `record` names through the library at `path`; the number of
// the sample is the payload.
EXPORT int32_t bench_trigger(const char *path, int32_t queue, uint32_t command,
                             const struct record *record, uint32_t samples, uint32_t gap_us) {
  void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (library == NULL || prepare(samples, gap_us) != 0) return -1;
  waker.control = (Control)dlsym(library, "kevent_ctl");
  waker.fd = queue;
  waker.command = command;
  waker.record = *record;
  return pthread_create(&waker.thread, NULL, trigger_all, NULL);
}

// A thread calls back with the number of the sample.
EXPORT int32_t bench_call_back(Callback callback, uint32_t samples, uint32_t gap_us) {
  if (prepare(samples, gap_us) != 0) return -1;
  waker.callback = callback;
  return pthread_create(&waker.thread, NULL, call_all, NULL);
}

// Another process writes 1 to an eventfd.
EXPORT int32_t bench_write_from_process(int32_t fd, uint32_t samples, uint32_t gap_us) {
  if (prepare(samples, gap_us) != 0) return -1;
  waker.process = fork();
  if (waker.process != 0) return waker.process < 0 ? -1 : 0;
  // Only calls that are safe in the child of a process with threads.
  const uint64_t one = 1;
  for (uint32_t n = 0; n < samples; n++) {
    pause_us(gap_us);
    waker.sent_ns[n] = now_ns();
    if (write(fd, &one, sizeof one) != sizeof one) _exit(1);
  }
  _exit(0);
}

// After the last sample: waits for thread or process and copies the moments out.
EXPORT void bench_waker_end(double *sent_ns) {
  if (waker.process > 0) waitpid(waker.process, NULL, 0);
  else pthread_join(waker.thread, NULL);
  waker.process = 0;
  memcpy(sent_ns, waker.sent_ns, waker.samples * sizeof(double));
  munmap(waker.sent_ns, waker.samples * sizeof(double));
}
