//! The binary interface: every record, flag and number that crosses the border to script.
//! `bindings.zig` prints `ffi/abi.ts` from this file; nobody types these numbers twice.
//! Names are those of the source documents; where they had a short and a long one, the long one.

const std = @import("std");
const assert = std.debug.assert;

/// Raised when a layout or a meaning below changes; checked when a script opens the library.
pub const version: u32 = 1;

/// Which thing: a descriptor, a period, a pid, ... depends on the type. S4-11.
pub const KeventId = extern struct {
    raw: [2]u32,
};

/// One record: adds, changes and names a registration, and carries an event back. S2-54.
pub const Ukevent = extern struct {
    id: KeventId,
    type: u32,
    /// Asked: mask of kinds. Handed out: the kinds that fired.
    event: u32,
    req_flags: u32,
    ret_flags: u32,
    ret_data: u32,
    /// The seed leaves these four bytes to the compiler; named, they carry a second number.
    ret_extra: u32,
    /// Carried, never used (the seed's union with `void *ptr`). S2-71.
    user: [2]u32,

    pub const zero: Ukevent = std.mem.zeroes(Ukevent);
};

comptime {
    assert(@sizeOf(KeventId) == 8);
    assert(@sizeOf(Ukevent) == 40);
    // 8 on paper (the seed's pointer); all fields are u32 so that script may view it as words.
    assert(@alignOf(Ukevent) == 4);
    assert(@offsetOf(Ukevent, "id") == 0);
    assert(@offsetOf(Ukevent, "type") == 8);
    assert(@offsetOf(Ukevent, "event") == 12);
    assert(@offsetOf(Ukevent, "req_flags") == 16);
    assert(@offsetOf(Ukevent, "ret_flags") == 20);
    assert(@offsetOf(Ukevent, "ret_data") == 24);
    assert(@offsetOf(Ukevent, "ret_extra") == 28);
    assert(@offsetOf(Ukevent, "user") == 32);
}

/// Start of the ring memory. S2-6.
pub const KeventRing = extern struct {
    /// Slot where the next record goes. S2-7.
    ring_kidx: u32,
    /// Wraps of the committed index since the start. S2-8.
    ring_over: u32,
    // event[ring_size] follows.
};

/// Behind the records, on a cache line of its own: written by publish only.
pub const RingProducer = extern struct {
    /// Records published since the start, mod 2^32.
    head: u32,
    reserved: [15]u32,
};

/// On the next cache line: written by commit only. S3-2.
pub const RingConsumer = extern struct {
    /// Records committed since the start, mod 2^32.
    tail: u32,
    /// Slot of the first record that is not committed.
    ring_uidx: u32,
    reserved: [14]u32,
};

comptime {
    assert(@sizeOf(KeventRing) == 8);
    assert(@offsetOf(KeventRing, "ring_kidx") == 0);
    assert(@offsetOf(KeventRing, "ring_over") == 4);
    assert(@sizeOf(RingProducer) == 64);
    assert(@sizeOf(RingConsumer) == 64);
}

pub const ring_entries_max: u32 = 1 << 20;

/// Offset of the producer line in a ring of `entries` records.
pub fn ringProducerOffset(entries: u32) u64 {
    return std.mem.alignForward(u64, @sizeOf(KeventRing) + @as(u64, entries) * @sizeOf(Ukevent), 64);
}

/// Bytes of memory a ring of `entries` records takes.
pub fn ringBytes(entries: u32) u64 {
    return ringProducerOffset(entries) + @sizeOf(RingProducer) + @sizeOf(RingConsumer);
}

/// What `kevent_setup` is told. `size` comes first so that the struct can grow.
pub const Params = extern struct {
    size: u32,
    flags: u32,
    ring_entries: u32,
    ring_bytes: u32,
    /// Bytes of the change area (a multiple of the record size), 0 without.
    changes_bytes: u32,
    /// Bytes of the name area, 0 without.
    names_bytes: u32,
    /// A file or memfd to map the ring from instead of script memory; -1 without.
    ring_fd: i32,
    /// `Backend`; 0 chooses by KEVENT_BACKEND, then by probing.
    backend: u32,
    /// Seed of the simulated back-end.
    seed_low: u32,
    seed_high: u32,
};

comptime {
    assert(@sizeOf(Params) == 40);
}

/// Control struct of the LWN form; records follow from offset `user_control_records`. S4-6.
pub const UserControl = extern struct {
    cmd: u32,
    num: u32,
    /// Milliseconds; 0 waits for ever.
    timeout: u32,
};

/// 12 bytes of control, 4 of padding: the records are aligned to 8 as in C.
pub const user_control_records: u32 = 16;

/// `type` of a record. 0 is none of them, so a record that was not filled in is refused. S2-73.
pub const Type = struct {
    /// Connections and data of a socket. S4-14.
    pub const KEVENT_SOCKET: u32 = 1;
    /// What happens to a file or directory: inotify(7). S4-15.
    pub const KEVENT_INODE: u32 = 2;
    /// Time. S4-17.
    pub const KEVENT_TIMER: u32 = 3;
    /// Anything that poll(2) can report of a descriptor. S4-16.
    pub const KEVENT_POLL: u32 = 4;
    /// Network AIO; not in this version: answers BROKEN.
    pub const KEVENT_NAIO: u32 = 5;
    /// Deliveries of a signal: signal(7).
    pub const KEVENT_SIGNAL: u32 = 6;
    /// The end of a process: pidfd_open(2).
    pub const KEVENT_PROCESS: u32 = 7;
    /// Triggered by the program itself, from any thread. S0-28.
    pub const KEVENT_USER: u32 = 8;
};

pub const types_max: u32 = 9;

/// Commands of `kevent_ctl` and of change records. 0 is none of them.
pub const Command = struct {
    /// Register. S2-16.
    pub const KEVENT_CTL_ADD: u32 = 1;
    /// End a registration, by `id` and `user`. S2-17.
    pub const KEVENT_CTL_REMOVE: u32 = 2;
    /// Replace `event` and `req_flags`, by `id` and `user`. S2-18.
    pub const KEVENT_CTL_MODIFY: u32 = 3;
    /// Mark as ready though the source is silent; of no records: wake one thread that waits. S2-19.
    pub const KEVENT_CTL_READY: u32 = 4;
    /// USER events: apply the payload in `event`, make it ready. Any thread may.
    pub const KEVENT_CTL_TRIGGER: u32 = 5;
    /// LWN form only: collect events. S4-24.
    pub const KEVENT_CTL_WAIT: u32 = 6;
    /// LWN form only: make a queue.
    pub const KEVENT_CTL_INIT: u32 = 7;
};

/// `req_flags` of a record.
pub const Request = struct {
    /// Removed when handed out. S2-59.
    pub const KEVENT_REQ_ONESHOT: u32 = 1 << 0;
    /// Wakes all waiting threads instead of the first. S2-60.
    pub const KEVENT_REQ_WAKEUP_ALL: u32 = 1 << 1;
    /// Edge-triggered. S2-61.
    pub const KEVENT_REQ_ET: u32 = 1 << 2;
    /// Ask the source again just before handing out. S2-62.
    pub const KEVENT_REQ_LAST_CHECK: u32 = 1 << 3;
    /// Queue it even if it is ready at ADD; without, it is answered in place. S2-64.
    pub const KEVENT_REQ_ALWAYS_QUEUE: u32 = 1 << 4;
    /// Ready at once at ADD. S2-65.
    pub const KEVENT_REQ_READY: u32 = 1 << 5;
};

pub const request_mask: u32 = (1 << 6) - 1;

/// `ret_flags` of a record.
pub const Return = struct {
    /// The source failed or the record is wrong; errno in `ret_data`. S2-67.
    pub const KEVENT_RET_BROKEN: u32 = 1 << 0;
    /// Processing finished. S2-68.
    pub const KEVENT_RET_DONE: u32 = 1 << 1;
    /// Handed out by `get_events` although the ring had no room. S2-69.
    pub const KEVENT_RET_COPY_FAILED: u32 = 1 << 2;
};

/// Flags of `kevent_init`, `kevent_setup`, `kevent_get_events` and `kevent_wait`.
pub const Flags = struct {
    /// The timeout is a date on the wall clock. S2-72. (`get_events`, `wait`)
    pub const KEVENT_FLAGS_ABSTIME: u32 = 1 << 0;
    /// Only the thread that makes the queue will drive it. (`init`, `setup`)
    pub const KEVENT_FLAGS_SINGLE: u32 = 1 << 1;
};

/// Flags of `kevent_turn`.
pub const Turn = struct {
    /// If the ring stays empty: ask for a wake-up byte.
    pub const KEVENT_TURN_ARM: u32 = 1 << 0;
};

/// Kinds of KEVENT_SOCKET.
pub const Socket = struct {
    /// Data can be received, or the end of it. S0-4.
    pub const KEVENT_SOCKET_RECV: u32 = 1 << 0;
    /// A connection can be accepted. S0-2.
    pub const KEVENT_SOCKET_ACCEPT: u32 = 1 << 1;
    /// There is room to send. S0-3.
    pub const KEVENT_SOCKET_SEND: u32 = 1 << 2;
    /// The peer closed its sending side.
    pub const KEVENT_SOCKET_PEER_CLOSED: u32 = 1 << 3;
    /// Both directions are gone; always reported.
    pub const KEVENT_SOCKET_HANG_UP: u32 = 1 << 4;
    /// Always reported; errno in `ret_data`.
    pub const KEVENT_SOCKET_ERROR: u32 = 1 << 5;
};

/// Kinds of KEVENT_POLL: the bits of poll(2).
pub const Poll = struct {
    /// There is data to read.
    pub const KEVENT_POLL_IN: u32 = 0x001;
    /// There is something exceptional, such as out-of-band data.
    pub const KEVENT_POLL_PRI: u32 = 0x002;
    /// Writing would not block.
    pub const KEVENT_POLL_OUT: u32 = 0x004;
    /// An error waits. Always reported.
    pub const KEVENT_POLL_ERR: u32 = 0x008;
    /// The other end is gone. Always reported.
    pub const KEVENT_POLL_HUP: u32 = 0x010;
    /// The same as IN.
    pub const KEVENT_POLL_RDNORM: u32 = 0x040;
    /// There is priority data to read.
    pub const KEVENT_POLL_RDBAND: u32 = 0x080;
    /// The same as OUT.
    pub const KEVENT_POLL_WRNORM: u32 = 0x100;
    /// Priority data may be written.
    pub const KEVENT_POLL_WRBAND: u32 = 0x200;
    /// Unused on Linux.
    pub const KEVENT_POLL_MSG: u32 = 0x400;
    /// The peer of a stream socket closed its sending side.
    pub const KEVENT_POLL_RDHUP: u32 = 0x2000;
};

/// Kinds of KEVENT_TIMER. FIRED must be set; the others choose the clock.
pub const Timer = struct {
    /// The time has come.
    pub const KEVENT_TIMER_FIRED: u32 = 1 << 0;
    /// `id` is a date on the wall clock instead of a period on the monotonic one.
    pub const KEVENT_TIMER_WALL: u32 = 1 << 1;
    /// `id` is a moment of the monotonic clock instead of a period.
    pub const KEVENT_TIMER_ABSOLUTE: u32 = 1 << 2;
    /// The wall clock was set while a WALL timer was waiting (handed out, the timer goes on).
    pub const KEVENT_TIMER_CLOCK_SET: u32 = 1 << 3;
};

/// Kinds of KEVENT_INODE: the bits of inotify(7).
pub const Inode = struct {
    /// It was read.
    pub const KEVENT_INODE_ACCESS: u32 = 0x1;
    /// It was written or truncated.
    pub const KEVENT_INODE_MODIFY: u32 = 0x2;
    /// Its mode, owner, times or number of links changed.
    pub const KEVENT_INODE_ATTRIB: u32 = 0x4;
    /// Who had it open for writing closed it.
    pub const KEVENT_INODE_CLOSE_WRITE: u32 = 0x8;
    /// Who had it open for reading only closed it.
    pub const KEVENT_INODE_CLOSE_NOWRITE: u32 = 0x10;
    /// It was opened.
    pub const KEVENT_INODE_OPEN: u32 = 0x20;
    /// A child was renamed: its old name. The other half has the same cookie.
    pub const KEVENT_INODE_MOVED_FROM: u32 = 0x40;
    /// A child was renamed: its new name.
    pub const KEVENT_INODE_MOVED_TO: u32 = 0x80;
    /// A child was made. S4-20.
    pub const KEVENT_INODE_CREATE: u32 = 0x100;
    /// A child was removed. S4-20.
    pub const KEVENT_INODE_REMOVE: u32 = 0x200;
    /// It was removed itself.
    pub const KEVENT_INODE_REMOVE_SELF: u32 = 0x400;
    /// It was renamed itself.
    pub const KEVENT_INODE_MOVE_SELF: u32 = 0x800;
    /// Its file system was unmounted. Always reported.
    pub const KEVENT_INODE_UNMOUNT: u32 = 0x2000;
    /// Always reported: the kernel dropped events; look again.
    pub const KEVENT_INODE_OVERFLOW: u32 = 0x4000;
    /// Always reported: the watch is gone (the inode was removed).
    pub const KEVENT_INODE_IGNORED: u32 = 0x8000;
    /// Not a kind but asked for with them: refuse what is not a directory.
    pub const KEVENT_INODE_ONLY_DIRECTORY: u32 = 0x100_0000;
    /// Not a kind but asked for with them: watch a symbolic link itself (by path only).
    pub const KEVENT_INODE_DONT_FOLLOW: u32 = 0x200_0000;
    /// Not a kind but asked for with them: be silent about children that were unlinked.
    pub const KEVENT_INODE_EXCLUDE_UNLINKED: u32 = 0x400_0000;
    /// Comes with other bits: the child is a directory.
    pub const KEVENT_INODE_DIRECTORY: u32 = 0x4000_0000;
};

/// `ret_data` of an inode event without a name.
pub const no_name: u32 = 0xffff_ffff;

/// Kinds of KEVENT_SIGNAL.
pub const Signal = struct {
    /// It was delivered to this process.
    pub const KEVENT_SIGNAL_DELIVERED: u32 = 1 << 0;
};

/// Kinds of KEVENT_PROCESS. EXIT must be set when asking.
pub const Process = struct {
    /// It ended: `ret_data` is the exit code.
    pub const KEVENT_PROCESS_EXIT: u32 = 1 << 0;
    /// Ended by a signal: `ret_data` is its number.
    pub const KEVENT_PROCESS_SIGNALED: u32 = 1 << 1;
    /// It ended, but the kernel no longer knows how.
    pub const KEVENT_PROCESS_NO_STATUS: u32 = 1 << 2;
};

/// Kinds of KEVENT_USER. TRIGGERED must be set when asking. A trigger carries an operation
/// and 24 payload bits in `event`, as kqueue's EVFILT_USER.
pub const User = struct {
    /// It was triggered.
    pub const KEVENT_USER_TRIGGERED: u32 = 1 << 31;
    /// Only change the payload, do not make it ready.
    pub const KEVENT_USER_SILENT: u32 = 1 << 30;
    /// Leave the payload.
    pub const KEVENT_USER_NOP: u32 = 0 << 24;
    /// Keep those payload bits that are given.
    pub const KEVENT_USER_AND: u32 = 1 << 24;
    /// Add the payload bits that are given.
    pub const KEVENT_USER_OR: u32 = 2 << 24;
    /// Replace the payload.
    pub const KEVENT_USER_COPY: u32 = 3 << 24;
};

pub const user_operation_mask: u32 = 3 << 24;
pub const user_payload_mask: u32 = (1 << 24) - 1;

/// Values of `Params.backend`.
pub const Backend = struct {
    /// What KEVENT_BACKEND names, else the best there is.
    pub const KEVENT_BACKEND_AUTO: u32 = 0;
    /// epoll(7).
    pub const KEVENT_BACKEND_EPOLL: u32 = 1;
    /// io_uring(7).
    pub const KEVENT_BACKEND_IO_URING: u32 = 2;
    /// Time, order and faults from a seed.
    pub const KEVENT_BACKEND_SIMULATED: u32 = 3;
};

/// Clocks of `kevent_now`.
pub const Clock = struct {
    /// Nanoseconds since the machine started.
    pub const KEVENT_CLOCK_MONOTONIC: u32 = 0;
    /// Nanoseconds since 1970.
    pub const KEVENT_CLOCK_WALL: u32 = 1;
};

/// Operations of `kevent_simulate`.
pub const Simulate = struct {
    /// Move both clocks forward by `value` nanoseconds.
    pub const KEVENT_SIMULATE_ADVANCE: u32 = 1;
    /// Stop (1) or let go (0) the automatic clock.
    pub const KEVENT_SIMULATE_MANUAL_CLOCK: u32 = 2;
    /// How many of 1000 polls answer EINTR first, hold events back, or wake for nothing.
    pub const KEVENT_SIMULATE_FAULTS_PER_MILLE: u32 = 3;
    /// Set the wall clock forward or back by `value` nanoseconds, as an administrator would.
    pub const KEVENT_SIMULATE_SET_WALL: u32 = 4;
};

/// What a tree tells: `kind` of a `TreeRecord`.
pub const Tree = struct {
    /// The first look at the tree is done.
    pub const KEVENT_TREE_READY: u32 = 1;
    /// A name came.
    pub const KEVENT_TREE_CREATE: u32 = 2;
    /// What a file holds changed.
    pub const KEVENT_TREE_MODIFY: u32 = 3;
    /// Its mode, owner, times or number of links changed.
    pub const KEVENT_TREE_ATTRIBUTE: u32 = 4;
    /// Who had it open for writing closed it. Only of a RAW tree; else a flag of the others.
    pub const KEVENT_TREE_CLOSE: u32 = 5;
    /// A name went.
    pub const KEVENT_TREE_REMOVE: u32 = 6;
    /// A name became another one, in place of whatever had that.
    pub const KEVENT_TREE_RENAME: u32 = 7;
    /// Events were lost. What they were is told as RECONCILED ones.
    pub const KEVENT_TREE_OVERFLOW: u32 = 8;
    /// A directory cannot be watched for want of something: it is looked at from time to time. errno in
    /// `error_number`, the limit in `size`, how many of these are in use here in `inode`.
    pub const KEVENT_TREE_LIMIT: u32 = 9;
    /// A directory cannot be read; errno in `error_number`.
    pub const KEVENT_TREE_ERROR: u32 = 10;
    /// Shall this directory be watched? See `kevent_tree_answer`.
    pub const KEVENT_TREE_ASK: u32 = 11;
};

/// `flags` of a `TreeRecord`.
pub const TreeFlag = struct {
    /// It is a directory.
    pub const KEVENT_TREE_DIRECTORY: u32 = 1 << 0;
    /// It is a symbolic link.
    pub const KEVENT_TREE_SYMLINK: u32 = 1 << 1;
    /// Found by comparing, not told by the kernel.
    pub const KEVENT_TREE_RECONCILED: u32 = 1 << 2;
    /// Writing is finished.
    pub const KEVENT_TREE_CLOSED: u32 = 1 << 3;
    /// Something else took the place of what had this name.
    pub const KEVENT_TREE_REPLACED: u32 = 1 << 4;
    /// It went because a directory above it went.
    pub const KEVENT_TREE_IMPLIED: u32 = 1 << 5;
    /// It was there at the start.
    pub const KEVENT_TREE_INITIAL: u32 = 1 << 6;
    /// The two names of a RENAME changed places.
    pub const KEVENT_TREE_EXCHANGED: u32 = 1 << 7;
    /// `inode`, `size` and `mtime_ns` are what lstat(2) said just now.
    pub const KEVENT_TREE_SEEN: u32 = 1 << 8;
};

/// `flags` of `TreeParams`.
pub const TreeOption = struct {
    /// Remember the files, so that nothing is lost when events are.
    pub const KEVENT_TREE_SNAPSHOT: u32 = 1 << 0;
    /// Tell of what is there at the start.
    pub const KEVENT_TREE_TELL_INITIAL: u32 = 1 << 1;
    /// Go through symbolic links.
    pub const KEVENT_TREE_FOLLOW: u32 = 1 << 2;
    /// Tell each change by itself.
    pub const KEVENT_TREE_RAW: u32 = 1 << 3;
    /// Compare from time to time instead of waiting for events.
    pub const KEVENT_TREE_POLL: u32 = 1 << 4;
    /// Ask for each directory.
    pub const KEVENT_TREE_ASKING: u32 = 1 << 5;
    /// The root may come later.
    pub const KEVENT_TREE_WAIT: u32 = 1 << 6;
};

/// How a tree is watched.
pub const TreeParams = extern struct {
    size: u32,
    flags: u32,
    /// Levels below the root whose content is watched; 0 is the root alone.
    depth: u32,
    /// How long changes of a file are held for others to join them.
    window_ms: u32,
    /// How often a polled tree is looked at.
    poll_ms: u32,
};

/// One event of a tree. `path_bytes` of the path, relative to the root, follow, then `old_bytes` of the old path.
pub const TreeRecord = extern struct {
    /// All of it, a multiple of 8.
    bytes: u32,
    tree: u32,
    kind: u32,
    flags: u32,
    inode: u64,
    size: u64,
    mtime_ns: i64,
    /// Names the directory of an ASK, together with `size`, which tells it from those that had the same number before.
    node: u32,
    error_number: i32,
    path_bytes: u32,
    old_bytes: u32,
};

/// An answer to an ASK.
pub const TreeAnswer = extern struct {
    tree: u32,
    /// `node` and `size` of the ASK.
    node: u32,
    serial: u32,
    /// 1: watch it, 0: leave it out.
    watch: u32,
};

/// The groups `bindings.zig` prints as plain constants.
pub const groups = .{
    Type,  Command,  Request,    Return,  Flags, Turn,    Socket, Poll,
    Timer, Inode,    Signal,     Process, User,  Backend, Clock,  Simulate,
    Tree,  TreeFlag, TreeOption,
};

comptime {
    if (@sizeOf(TreeRecord) != 56) @compileError("TreeRecord");
}
