// What work.c and each peer know of each other. A peer is linked with work.c into one program, so
// all of them have the same descriptors, the same writes and reads and the same clock.

#ifndef WORK_H
#define WORK_H

// Watch these descriptors for reading; `edge` asks for edge-triggered watching. Returns 0, or -1
// where the peer has no such thing.
int peer_open(const int *fds, int count, int edge);

// Wait until something is readable and call `work_handle` with the index of each that is.
void peer_collect(void);

// Reads what was written, which ends the readiness, and counts it.
void work_handle(int slot);

#endif
