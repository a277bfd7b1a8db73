// Printed from zig/abi.zig by zig/bindings.zig; do not edit.

/** Connections and data of a socket. S4-14. */
export const KEVENT_SOCKET = 1;
/** What happens to a file or directory: inotify(7). S4-15. */
export const KEVENT_INODE = 2;
/** Time. S4-17. */
export const KEVENT_TIMER = 3;
/** Anything that poll(2) can report of a descriptor. S4-16. */
export const KEVENT_POLL = 4;
/** Network AIO; not in this version: answers BROKEN. */
export const KEVENT_NAIO = 5;
/** Deliveries of a signal: signal(7). */
export const KEVENT_SIGNAL = 6;
/** The end of a process: pidfd_open(2). */
export const KEVENT_PROCESS = 7;
/** Triggered by the program itself, from any thread. S0-28. */
export const KEVENT_USER = 8;

/** Register. S2-16. */
export const KEVENT_CTL_ADD = 1;
/** End a registration, by `id` and `user`. S2-17. */
export const KEVENT_CTL_REMOVE = 2;
/** Replace `event` and `req_flags`, by `id` and `user`. S2-18. */
export const KEVENT_CTL_MODIFY = 3;
/** Mark as ready though the source is silent; of no records: wake one thread that waits. S2-19. */
export const KEVENT_CTL_READY = 4;
/** USER events: apply the payload in `event`, make it ready. Any thread may. */
export const KEVENT_CTL_TRIGGER = 5;
/** LWN form only: collect events. S4-24. */
export const KEVENT_CTL_WAIT = 6;
/** LWN form only: make a queue. */
export const KEVENT_CTL_INIT = 7;

/** Removed when handed out. S2-59. */
export const KEVENT_REQ_ONESHOT = 1;
/** Wakes all waiting threads instead of the first. S2-60. */
export const KEVENT_REQ_WAKEUP_ALL = 2;
/** Edge-triggered. S2-61. */
export const KEVENT_REQ_ET = 4;
/** Ask the source again just before handing out. S2-62. */
export const KEVENT_REQ_LAST_CHECK = 8;
/** Queue it even if it is ready at ADD; without, it is answered in place. S2-64. */
export const KEVENT_REQ_ALWAYS_QUEUE = 0x10;
/** Ready at once at ADD. S2-65. */
export const KEVENT_REQ_READY = 0x20;

/** The source failed or the record is wrong; errno in `ret_data`. S2-67. */
export const KEVENT_RET_BROKEN = 1;
/** Processing finished. S2-68. */
export const KEVENT_RET_DONE = 2;
/** Handed out by `get_events` although the ring had no room. S2-69. */
export const KEVENT_RET_COPY_FAILED = 4;

/** The timeout is a date on the wall clock. S2-72. (`get_events`, `wait`) */
export const KEVENT_FLAGS_ABSTIME = 1;
/** Only the thread that makes the queue will drive it. (`init`, `setup`) */
export const KEVENT_FLAGS_SINGLE = 2;

/** If the ring stays empty: ask for a wake-up byte. */
export const KEVENT_TURN_ARM = 1;

/** Data can be received, or the end of it. S0-4. */
export const KEVENT_SOCKET_RECV = 1;
/** A connection can be accepted. S0-2. */
export const KEVENT_SOCKET_ACCEPT = 2;
/** There is room to send. S0-3. */
export const KEVENT_SOCKET_SEND = 4;
/** The peer closed its sending side. */
export const KEVENT_SOCKET_PEER_CLOSED = 8;
/** Both directions are gone; always reported. */
export const KEVENT_SOCKET_HANG_UP = 0x10;
/** Always reported; errno in `ret_data`. */
export const KEVENT_SOCKET_ERROR = 0x20;

/** There is data to read. */
export const KEVENT_POLL_IN = 1;
/** There is something exceptional, such as out-of-band data. */
export const KEVENT_POLL_PRI = 2;
/** Writing would not block. */
export const KEVENT_POLL_OUT = 4;
/** An error waits. Always reported. */
export const KEVENT_POLL_ERR = 8;
/** The other end is gone. Always reported. */
export const KEVENT_POLL_HUP = 0x10;
/** The same as IN. */
export const KEVENT_POLL_RDNORM = 0x40;
/** There is priority data to read. */
export const KEVENT_POLL_RDBAND = 0x80;
/** The same as OUT. */
export const KEVENT_POLL_WRNORM = 0x100;
/** Priority data may be written. */
export const KEVENT_POLL_WRBAND = 0x200;
/** Unused on Linux. */
export const KEVENT_POLL_MSG = 0x400;
/** The peer of a stream socket closed its sending side. */
export const KEVENT_POLL_RDHUP = 0x2000;

/** The time has come. */
export const KEVENT_TIMER_FIRED = 1;
/** `id` is a date on the wall clock instead of a period on the monotonic one. */
export const KEVENT_TIMER_WALL = 2;
/** `id` is a moment of the monotonic clock instead of a period. */
export const KEVENT_TIMER_ABSOLUTE = 4;
/** The wall clock was set while a WALL timer was waiting (handed out, the timer goes on). */
export const KEVENT_TIMER_CLOCK_SET = 8;

/** It was read. */
export const KEVENT_INODE_ACCESS = 1;
/** It was written or truncated. */
export const KEVENT_INODE_MODIFY = 2;
/** Its mode, owner, times or number of links changed. */
export const KEVENT_INODE_ATTRIB = 4;
/** Who had it open for writing closed it. */
export const KEVENT_INODE_CLOSE_WRITE = 8;
/** Who had it open for reading only closed it. */
export const KEVENT_INODE_CLOSE_NOWRITE = 0x10;
/** It was opened. */
export const KEVENT_INODE_OPEN = 0x20;
/** A child was renamed: its old name. The other half has the same cookie. */
export const KEVENT_INODE_MOVED_FROM = 0x40;
/** A child was renamed: its new name. */
export const KEVENT_INODE_MOVED_TO = 0x80;
/** A child was made. S4-20. */
export const KEVENT_INODE_CREATE = 0x100;
/** A child was removed. S4-20. */
export const KEVENT_INODE_REMOVE = 0x200;
/** It was removed itself. */
export const KEVENT_INODE_REMOVE_SELF = 0x400;
/** It was renamed itself. */
export const KEVENT_INODE_MOVE_SELF = 0x800;
/** Its file system was unmounted. Always reported. */
export const KEVENT_INODE_UNMOUNT = 0x2000;
/** Always reported: the kernel dropped events; look again. */
export const KEVENT_INODE_OVERFLOW = 0x4000;
/** Always reported: the watch is gone (the inode was removed). */
export const KEVENT_INODE_IGNORED = 0x8000;
/** Not a kind but asked for with them: refuse what is not a directory. */
export const KEVENT_INODE_ONLY_DIRECTORY = 0x1000000;
/** Not a kind but asked for with them: watch a symbolic link itself (by path only). */
export const KEVENT_INODE_DONT_FOLLOW = 0x2000000;
/** Not a kind but asked for with them: be silent about children that were unlinked. */
export const KEVENT_INODE_EXCLUDE_UNLINKED = 0x4000000;
/** Comes with other bits: the child is a directory. */
export const KEVENT_INODE_DIRECTORY = 0x40000000;

/** It was delivered to this process. */
export const KEVENT_SIGNAL_DELIVERED = 1;

/** It ended: `ret_data` is the exit code. */
export const KEVENT_PROCESS_EXIT = 1;
/** Ended by a signal: `ret_data` is its number. */
export const KEVENT_PROCESS_SIGNALED = 2;
/** It ended, but the kernel no longer knows how. */
export const KEVENT_PROCESS_NO_STATUS = 4;

/** It was triggered. */
export const KEVENT_USER_TRIGGERED = 0x80000000;
/** Only change the payload, do not make it ready. */
export const KEVENT_USER_SILENT = 0x40000000;
/** Leave the payload. */
export const KEVENT_USER_NOP = 0;
/** Keep those payload bits that are given. */
export const KEVENT_USER_AND = 0x1000000;
/** Add the payload bits that are given. */
export const KEVENT_USER_OR = 0x2000000;
/** Replace the payload. */
export const KEVENT_USER_COPY = 0x3000000;

/** What KEVENT_BACKEND names, else the best there is. */
export const KEVENT_BACKEND_AUTO = 0;
/** epoll(7). */
export const KEVENT_BACKEND_EPOLL = 1;
/** io_uring(7). */
export const KEVENT_BACKEND_IO_URING = 2;
/** Time, order and faults from a seed. */
export const KEVENT_BACKEND_SIMULATED = 3;

/** Nanoseconds since the machine started. */
export const KEVENT_CLOCK_MONOTONIC = 0;
/** Nanoseconds since 1970. */
export const KEVENT_CLOCK_WALL = 1;

/** Move both clocks forward by `value` nanoseconds. */
export const KEVENT_SIMULATE_ADVANCE = 1;
/** Stop (1) or let go (0) the automatic clock. */
export const KEVENT_SIMULATE_MANUAL_CLOCK = 2;
/** How many of 1000 polls answer EINTR first, hold events back, or wake for nothing. */
export const KEVENT_SIMULATE_FAULTS_PER_MILLE = 3;
/** Set the wall clock forward or back by `value` nanoseconds, as an administrator would. */
export const KEVENT_SIMULATE_SET_WALL = 4;

/** The first look at the tree is done. */
export const KEVENT_TREE_READY = 1;
/** A name came. */
export const KEVENT_TREE_CREATE = 2;
/** What a file holds changed. */
export const KEVENT_TREE_MODIFY = 3;
/** Its mode, owner, times or number of links changed. */
export const KEVENT_TREE_ATTRIBUTE = 4;
/** Who had it open for writing closed it. Only of a RAW tree; else a flag of the others. */
export const KEVENT_TREE_CLOSE = 5;
/** A name went. */
export const KEVENT_TREE_REMOVE = 6;
/** A name became another one, in place of whatever had that. */
export const KEVENT_TREE_RENAME = 7;
/** Events were lost. What they were is told as RECONCILED ones. */
export const KEVENT_TREE_OVERFLOW = 8;
/** A directory cannot be watched for want of something: it is looked at from time to time. errno in `error_number`, the limit in `size`, how many of these are in use here in `inode`. */
export const KEVENT_TREE_LIMIT = 9;
/** A directory cannot be read; errno in `error_number`. */
export const KEVENT_TREE_ERROR = 0xa;
/** Shall this directory be watched? See `kevent_tree_answer`. */
export const KEVENT_TREE_ASK = 0xb;

/** It is a directory. */
export const KEVENT_TREE_DIRECTORY = 1;
/** It is a symbolic link. */
export const KEVENT_TREE_SYMLINK = 2;
/** Found by comparing, not told by the kernel. */
export const KEVENT_TREE_RECONCILED = 4;
/** Writing is finished. */
export const KEVENT_TREE_CLOSED = 8;
/** Something else took the place of what had this name. */
export const KEVENT_TREE_REPLACED = 0x10;
/** It went because a directory above it went. */
export const KEVENT_TREE_IMPLIED = 0x20;
/** It was there at the start. */
export const KEVENT_TREE_INITIAL = 0x40;
/** The two names of a RENAME changed places. */
export const KEVENT_TREE_EXCHANGED = 0x80;
/** `inode`, `size` and `mtime_ns` are what lstat(2) said just now. */
export const KEVENT_TREE_SEEN = 0x100;

/** Remember the files, so that nothing is lost when events are. */
export const KEVENT_TREE_SNAPSHOT = 1;
/** Tell of what is there at the start. */
export const KEVENT_TREE_TELL_INITIAL = 2;
/** Go through symbolic links. */
export const KEVENT_TREE_FOLLOW = 4;
/** Tell each change by itself. */
export const KEVENT_TREE_RAW = 8;
/** Compare from time to time instead of waiting for events. */
export const KEVENT_TREE_POLL = 0x10;
/** Ask for each directory. */
export const KEVENT_TREE_ASKING = 0x20;
/** The root may come later. */
export const KEVENT_TREE_WAIT = 0x40;

export const ABI_VERSION = 1;
export const RING_ENTRIES_MAX = 1048576;
/** `ret_data` of an inode event without a name. */
export const KEVENT_NO_NAME = 0xffffffff;
/** The smallest name area: the longest name with its length. */
export const NAMES_BYTES_MIN = 260;

/** Bytes of the structs that cross the border, and where their fields are. */
export const RECORD_BYTES = 40;
export const RECORD_ID_0 = 0;
export const RECORD_ID_1 = 4;
export const RECORD_TYPE = 8;
export const RECORD_EVENT = 12;
export const RECORD_REQ_FLAGS = 16;
export const RECORD_RET_FLAGS = 20;
export const RECORD_RET_DATA = 24;
export const RECORD_RET_EXTRA = 28;
export const RECORD_USER_0 = 32;
export const RECORD_USER_1 = 36;
export const RING_HEADER_BYTES = 8;
export const RING_KIDX = 0;
export const RING_OVER = 4;
export const RING_LINE_BYTES = 64;
export const RING_PRODUCER_HEAD = 0;
export const RING_CONSUMER_TAIL = 0;
export const RING_CONSUMER_UIDX = 4;
export const PARAMS_BYTES = 40;
export const PARAMS_SIZE = 0;
export const PARAMS_FLAGS = 4;
export const PARAMS_RING_ENTRIES = 8;
export const PARAMS_RING_BYTES = 12;
export const PARAMS_CHANGES_BYTES = 16;
export const PARAMS_NAMES_BYTES = 20;
export const PARAMS_RING_FD = 24;
export const PARAMS_BACKEND = 28;
export const PARAMS_SEED_LOW = 32;
export const PARAMS_SEED_HIGH = 36;
export const USER_CONTROL_CMD = 0;
export const USER_CONTROL_NUM = 4;
export const USER_CONTROL_TIMEOUT = 8;
export const USER_CONTROL_RECORDS = 16;
export const TREE_PARAMS_BYTES = 20;
export const TREE_PARAMS_SIZE = 0;
export const TREE_PARAMS_FLAGS = 4;
export const TREE_PARAMS_DEPTH = 8;
export const TREE_PARAMS_WINDOW_MS = 12;
export const TREE_PARAMS_POLL_MS = 16;
export const TREE_RECORD_HEADER_BYTES = 56;
export const TREE_RECORD_BYTES = 0;
export const TREE_RECORD_TREE = 4;
export const TREE_RECORD_KIND = 8;
export const TREE_RECORD_FLAGS = 12;
export const TREE_RECORD_INODE_0 = 16;
export const TREE_RECORD_INODE_1 = 20;
export const TREE_RECORD_SIZE_0 = 24;
export const TREE_RECORD_SIZE_1 = 28;
export const TREE_RECORD_MTIME_NS_0 = 32;
export const TREE_RECORD_MTIME_NS_1 = 36;
export const TREE_RECORD_NODE = 40;
export const TREE_RECORD_ERROR_NUMBER = 44;
export const TREE_RECORD_PATH_BYTES = 48;
export const TREE_RECORD_OLD_BYTES = 52;
export const TREE_ANSWER_BYTES = 16;
export const TREE_ANSWER_TREE = 0;
export const TREE_ANSWER_NODE = 4;
export const TREE_ANSWER_SERIAL = 8;
export const TREE_ANSWER_WATCH = 12;

/** Every error that crosses the border: number, name, what it means and what to do. */
export const ERRORS = [
  { number: 1, name: "EPERM", message: "not allowed here: a queue made for a single thread is driven by the thread that made it" },
  { number: 2, name: "ENOENT", message: "no registration or file matches: id and user must both be those of the add" },
  { number: 3, name: "ESRCH", message: "no such process" },
  { number: 4, name: "EINTR", message: "interrupted: call again" },
  { number: 9, name: "EBADF", message: "not an open queue or descriptor" },
  { number: 10, name: "ECHILD", message: "not a child of this process, or reaped already" },
  { number: 11, name: "EAGAIN", message: "nothing there yet: wait for readiness and call again" },
  { number: 12, name: "ENOMEM", message: "out of memory, or of the address space that is allowed (ulimit -v)" },
  { number: 13, name: "EACCES", message: "permission denied" },
  { number: 14, name: "EFAULT", message: "a required buffer is missing" },
  { number: 16, name: "EBUSY", message: "in use: another call is inside" },
  { number: 17, name: "EEXIST", message: "already registered: the pair of id and user must be unique" },
  { number: 19, name: "ENODEV", message: "the ring memory and the library disagree" },
  { number: 20, name: "ENOTDIR", message: "not a directory" },
  { number: 22, name: "EINVAL", message: "invalid argument: see the call's table of fields" },
  { number: 23, name: "ENFILE", message: "the system has no free descriptors" },
  { number: 24, name: "EMFILE", message: "this process has no free descriptors: close some or raise the limit" },
  { number: 28, name: "ENOSPC", message: "a limit is reached (watches, queues or subscribers): raise it or remove some" },
  { number: 32, name: "EPIPE", message: "the other end is closed" },
  { number: 34, name: "ERANGE", message: "number out of range" },
  { number: 36, name: "ENAMETOOLONG", message: "name too long" },
  { number: 38, name: "ENOSYS", message: "the kernel does not offer this call" },
  { number: 40, name: "ELOOP", message: "too many symbolic links" },
  { number: 75, name: "EOVERFLOW", message: "value too large" },
  { number: 88, name: "ENOTSOCK", message: "not a socket" },
  { number: 90, name: "EMSGSIZE", message: "the buffer is too small for what comes next: give a larger one" },
  { number: 95, name: "ENOTSUP", message: "this type of event is unknown to this build" },
  { number: 97, name: "EAFNOSUPPORT", message: "this system has no such kind of address (IPv6 switched off?)" },
  { number: 98, name: "EADDRINUSE", message: "address already in use" },
  { number: 99, name: "EADDRNOTAVAIL", message: "address not available" },
  { number: 101, name: "ENETUNREACH", message: "no route to that network" },
  { number: 103, name: "ECONNABORTED", message: "the peer gave up before it was accepted" },
  { number: 104, name: "ECONNRESET", message: "connection reset by peer" },
  { number: 106, name: "EISCONN", message: "already connected" },
  { number: 107, name: "ENOTCONN", message: "not connected" },
  { number: 110, name: "ETIMEDOUT", message: "timed out" },
  { number: 111, name: "ECONNREFUSED", message: "connection refused" },
  { number: 113, name: "EHOSTUNREACH", message: "no route to that host" },
  { number: 115, name: "EINPROGRESS", message: "in progress: wait until writable" },
  { number: 116, name: "ESTALE", message: "the file system lost it: open it again" },
  { number: 125, name: "ECANCELED", message: "cancelled" },
] as const;

/** The exported calls, in words that both FFI dialects translate. */
export const SYMBOLS = {
  kevent_abi_version: { parameters: [], result: "u32" },
  kevent_init: { parameters: ["buffer", "u32", "u32"], result: "i32" },
  kevent_setup: { parameters: ["buffer", "buffer", "buffer", "buffer"], result: "i32" },
  kevent_close: { parameters: ["i32"], result: "i32" },
  kevent_ctl: { parameters: ["i32", "u32", "u32", "buffer"], result: "i32" },
  kevent_get_events: { parameters: ["i32", "u32", "u32", "i64", "i64", "buffer", "u32"], result: "i32" },
  kevent_wait: { parameters: ["i32", "u32", "u32", "i64", "i64", "u32"], result: "i32" },
  kevent_commit: { parameters: ["i32", "u32", "u32"], result: "i32" },
  kevent_turn: { parameters: ["i32", "u32", "u32", "f64", "u32"], result: "i32" },
  kevent_wake_open: { parameters: ["i32"], result: "i32" },
  kevent_inode_add: { parameters: ["i32", "buffer", "u32", "buffer"], result: "i32" },
  kevent_info: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  kevent_now: { parameters: ["u32"], result: "f64" },
  kevent_simulate: { parameters: ["i32", "u32", "f64"], result: "i32" },
  kevent_clock: { parameters: ["i32", "u32"], result: "f64" },
  kevent_user_ctl: { parameters: ["i32", "buffer"], result: "i32" },
  kevent_sock_listen: { parameters: ["buffer", "u32", "u32", "u32"], result: "i32" },
  kevent_sock_connect: { parameters: ["buffer", "u32", "u32"], result: "i32" },
  kevent_sock_accept: { parameters: ["i32"], result: "i32" },
  kevent_sock_port: { parameters: ["i32"], result: "i32" },
  kevent_sock_read: { parameters: ["i32", "buffer", "u32", "u32"], result: "i32" },
  kevent_sock_write: { parameters: ["i32", "buffer", "u32", "u32"], result: "i32" },
  kevent_sock_shutdown: { parameters: ["i32"], result: "i32" },
  kevent_sock_close: { parameters: ["i32"], result: "i32" },
  kevent_forest_open: { parameters: [], result: "i32" },
  kevent_forest_close: { parameters: ["i32"], result: "i32" },
  kevent_forest_read: { parameters: ["i32", "buffer", "u32", "u32"], result: "i32" },
  kevent_tree_add: { parameters: ["i32", "buffer", "buffer", "u32"], result: "i32" },
  kevent_tree_remove: { parameters: ["i32", "u32"], result: "i32" },
  kevent_tree_scan: { parameters: ["i32", "u32"], result: "i32" },
  kevent_tree_answer: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  kevent_tree_info: { parameters: ["i32", "u32", "buffer", "u32"], result: "i32" },
} as const;
