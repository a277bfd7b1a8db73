// A bare epoll loop: the least that a readiness loop can do.

#include "work.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { BATCH = 1024 };

static int epoll = -1;

int peer_open(const int *fds, int count, int edge) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  for (int n = 0; n < count; n++) {
    struct epoll_event event = {.events = EPOLLIN | (edge ? EPOLLET : 0), .data.u32 = (unsigned)n};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[n], &event) != 0) {
      perror("epoll_ctl");
      exit(1);
    }
  }
  return 0;
}

void peer_collect(void) {
  static struct epoll_event events[BATCH];
  const int got = epoll_wait(epoll, events, BATCH, -1);
  for (int n = 0; n < got; n++) work_handle((int)events[n].data.u32);
}
