// Nobody waits: the writes and reads alone, to see how much of a number is the work itself.

#include "work.h"

static int count, next;

int peer_open(const int *fds, int given, int edge) {
  (void)fds;
  (void)edge;
  count = given;
  return 0;
}

void peer_collect(void) {
  work_handle(next);
  if (++next == count) next = 0;
}
