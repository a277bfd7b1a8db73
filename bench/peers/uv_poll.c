// libuv: one uv_poll per descriptor, one uv_run per collect. uv_poll is level-triggered only.

#include "work.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static uv_loop_t loop;

static void on_readable(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  work_handle((int)(intptr_t)handle->data);
}

static void must(int status) {
  if (status == 0) return;
  fprintf(stderr, "libuv: %s\n", uv_strerror(status));
  exit(1);
}

int peer_open(const int *fds, int count, int edge) {
  if (edge) return -1;
  must(uv_loop_init(&loop));
  uv_poll_t *handles = calloc((size_t)count, sizeof *handles);
  for (int n = 0; n < count; n++) {
    must(uv_poll_init(&loop, &handles[n], fds[n]));
    handles[n].data = (void *)(intptr_t)n;
    must(uv_poll_start(&handles[n], UV_READABLE, on_readable));
  }
  return 0;
}

void peer_collect(void) {
  uv_run(&loop, UV_RUN_ONCE);
}
