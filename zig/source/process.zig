//! The end of processes, children or not. Each interest has a process descriptor of its own, so a
//! number that is given to a new process meanwhile is never mistaken for the old one.
//! The child is left for the runtime to reap: we only look at its status. If it is somebody else's
//! child, /proc tells until it is reaped, to those who may know; once it is reaped, Linux 6.15 and
//! later tell. Else the record says KEVENT_PROCESS_NO_STATUS.
//! A process ends once: whatever `req_flags` say, the registration ends with the record.

const abi = @import("../abi.zig");
const sys = @import("../sys/linux.zig");
const processes = @import("../sys/process.zig");
const Error = @import("../errors.zig").Error;
const Queue = @import("../queue.zig").Queue;
const Source = @import("../source.zig").Source;
const storages = @import("../storage.zig");

const Kind = abi.Process;
const all = Kind.KEVENT_PROCESS_EXIT | Kind.KEVENT_PROCESS_SIGNALED | Kind.KEVENT_PROCESS_NO_STATUS;

/// The kernel's own limit (PID_MAX_LIMIT).
const pid_most = 1 << 22;

pub const source: Source = .{
    .name = "process",
    .kinds = all,
    .required = Kind.KEVENT_PROCESS_EXIT,
    .enqueue = enqueue,
    .dequeue = dequeue,
    .check = check,
    .modify = modify,
    .activity = activity,
    .fill = fill,
};

/// What is known of a process: `data` of its registration.
const End = packed struct(u64) {
    status: u32 = 0,
    over: bool = false,
    known: bool = false,
    reserved: u30 = 0,

    fn kinds(end: End) u32 {
        if (!end.over) return 0;
        if (!end.known) return Kind.KEVENT_PROCESS_EXIT | Kind.KEVENT_PROCESS_NO_STATUS;
        return if (end.signal() != 0) Kind.KEVENT_PROCESS_EXIT | Kind.KEVENT_PROCESS_SIGNALED else Kind.KEVENT_PROCESS_EXIT;
    }

    fn signal(end: End) u32 {
        return end.status & 0x7f;
    }
};

fn enqueue(queue: *Queue, index: u32) Error!void {
    const kevent = queue.kevents.at(index);
    const pid = kevent.event.id.raw[0];
    if (pid == 0 or pid > pid_most or kevent.event.id.raw[1] != 0) return error.INVAL;
    const fd = try processes.open(pid);
    errdefer sys.close(fd);
    const number = try storages.create(&queue.storages, fd, abi.Type.KEVENT_PROCESS, abi.Poll.KEVENT_POLL_IN);
    errdefer storages.destroy(&queue.storages, number);
    _ = try queue.backend.watch(queue, number);
    queue.storages.at(number).interests.append(queue.kevents.array.items, index);
    kevent.storage = number;
}

fn dequeue(queue: *Queue, index: u32) void {
    const number = queue.kevents.at(index).storage;
    const storage = queue.storages.at(number);
    storage.interests.remove(queue.kevents.array.items, index);
    if (storage.flags.armed) queue.backend.unwatch(queue, number);
    sys.close(storage.fd);
    storages.destroy(&queue.storages, number);
}

fn activity(queue: *Queue, number: u32, _: u32) void {
    const index = queue.storages.at(number).interests.head;
    const kinds = look(queue, index);
    if (kinds == 0) return queue.backend.rearm(queue, number);
    // It stays readable for ever, and there is nothing more to hear.
    if (queue.storages.at(number).flags.armed) queue.backend.unwatch(queue, number);
    finish(queue, index);
    queue.markReady(index, kinds);
}

/// It is over after one record.
fn finish(queue: *Queue, index: u32) void {
    queue.kevents.at(index).event.req_flags |= abi.Request.KEVENT_REQ_ONESHOT;
}

/// Kinds that hold now. The status is kept as soon as it can be had: who reaps takes it away.
fn look(queue: *Queue, index: u32) u32 {
    const kevent = queue.kevents.at(index);
    var end: End = @bitCast(kevent.data);
    if (!end.known) {
        end = ask(queue.storages.at(kevent.storage).fd, kevent.event.id.raw[0]);
        kevent.data = @bitCast(end);
    }
    return end.kinds();
}

fn ask(fd: sys.Fd, pid: u32) End {
    if (processes.peek(fd)) |status| {
        return .{ .status = status orelse return .{}, .over = true, .known = true };
    } else |_| {}
    if (sys.pollNow(fd, abi.Poll.KEVENT_POLL_IN) == 0) return .{};
    // It may be reaped between the first question and the second.
    const status = processes.remembered(fd) orelse processes.zombie(fd, pid) orelse processes.remembered(fd) orelse
        return .{ .over = true };
    return .{ .status = status, .over = true, .known = true };
}

fn check(queue: *Queue, index: u32) u32 {
    const kinds = look(queue, index);
    if (kinds != 0) finish(queue, index);
    return kinds;
}

/// Nothing of an interest can change but how it is handed out; an end that was noticed stays.
fn modify(queue: *Queue, index: u32) Error!void {
    const end: End = @bitCast(queue.kevents.at(index).data);
    if (!end.over) return;
    finish(queue, index);
    queue.markReady(index, end.kinds());
}

fn fill(queue: *Queue, index: u32, record: *abi.Ukevent) bool {
    const end: End = @bitCast(queue.kevents.at(index).data);
    // Made ready by hand while the process goes on.
    if (!end.over) return true;
    record.event = look(queue, index);
    const final: End = @bitCast(queue.kevents.at(index).data);
    if (final.known) {
        record.ret_data = if (final.signal() != 0) final.signal() else final.status >> 8 & 0xff;
        record.ret_extra = final.status;
    }
    return true;
}
