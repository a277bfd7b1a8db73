// Rows S0-* of the checklist: "[0/4] kevent: generic event processing subsystem".
import { readdirSync, unlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  KEVENT_CTL_ADD,
  KEVENT_CTL_MODIFY,
  KEVENT_CTL_REMOVE,
  KEVENT_INODE_CREATE,
  KEVENT_INODE_REMOVE,
  KEVENT_NAIO,
  KEVENT_POLL,
  KEVENT_POLL_IN,
  KEVENT_POLL_OUT,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ET,
  KEVENT_REQ_ONESHOT,
  KEVENT_RET_BROKEN,
  KEVENT_SOCKET,
  KEVENT_SOCKET_ACCEPT,
  KEVENT_SOCKET_RECV,
  KEVENT_SOCKET_SEND,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_COPY,
  KEVENT_USER_TRIGGERED,
  Loop,
  Queue,
  Records,
  Timer,
} from "../../adapters/mod.ts";
import {
  connectTo,
  eventFd,
  libc,
  listener,
  pipe,
  read,
  signalEvent,
  socketPair,
  write,
} from "../support/libc.ts";
import { Folder } from "../support/folder.ts";
import { add, backend, collect, ctl, gate, MS, SECOND, turn } from "../support/queue.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;

function count(queue: Queue, turns: number): number {
  let events = 0;
  for (let index = 0; index < turns; index++) events += turn(queue).length;
  return events;
}

describe("S0", () => {
  test("S0-1 level: reported every turn while it holds; edge: once per change", () => {
    for (const [flags, least, most] of [[QUEUED, 3, 3], [QUEUED | KEVENT_REQ_ET, 1, 1]] as const) {
      using queue = new Queue();
      using fds = pipe();
      add(queue, { id: [fds.a, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: flags });
      write(fds.b);
      expect(count(queue, 3)).toBeGreaterThanOrEqual(least);
      write(fds.b);
      const events = count(queue, 3);
      expect(events).toBeGreaterThanOrEqual(least);
      expect(events).toBeLessThanOrEqual(most);
    }
  });

  test("S0-2 a connection to accept is one event", () => {
    using queue = new Queue();
    const { fds, address } = listener();
    using listening = fds;
    const id = [listening.a, 0] as const;
    add(queue, { id, type: KEVENT_SOCKET, event: KEVENT_SOCKET_ACCEPT, reqFlags: QUEUED });
    expect(turn(queue)).toHaveLength(0);
    const client = connectTo(address);
    const events = turn(queue, SECOND);
    expect(events).toHaveLength(1);
    expect(events[0]!.event).toBe(KEVENT_SOCKET_ACCEPT);
    expect(events[0]!.id).toEqual([listening.a, 0]);
    libc.close(client);
  });

  test("S0-3 room to send is one event after the peer has read", () => {
    using queue = new Queue();
    using fds = socketPair();
    while (write(fds.a, 65536) > 0);
    add(queue, {
      id: [fds.a, 0],
      type: KEVENT_SOCKET,
      event: KEVENT_SOCKET_SEND,
      reqFlags: QUEUED | KEVENT_REQ_ET,
    });
    expect(turn(queue)).toHaveLength(0);
    while (read(fds.b) > 0);
    const events = turn(queue, SECOND);
    expect(events.map(({ event }) => event)).toEqual([KEVENT_SOCKET_SEND]);
  });

  test("S0-4 data to receive is an event", () => {
    using queue = new Queue();
    using fds = socketPair();
    const id = [fds.a, 0] as const;
    add(queue, { id, type: KEVENT_SOCKET, event: KEVENT_SOCKET_RECV, reqFlags: QUEUED });
    expect(turn(queue)).toHaveLength(0);
    write(fds.b);
    expect(turn(queue, SECOND).map(({ event }) => event)).toEqual([KEVENT_SOCKET_RECV]);
  });

  test("S0-8 creation and removal in a directory are events with names", () => {
    using queue = new Queue();
    using folder = new Folder();
    const mask = KEVENT_INODE_CREATE | KEVENT_INODE_REMOVE;
    queue.addInode(folder.path, mask, QUEUED, 1, 1);
    unlinkSync(folder.file("a"));
    const seen: string[] = [];
    while (seen.length < 2 && queue.turn(SECOND) > 0) {
      const ring = queue.ring!;
      while (!ring.empty) {
        const at = ring.consume();
        const kind = ring.words[at + 3] === KEVENT_INODE_CREATE ? "create" : "remove";
        seen.push(`${kind} ${queue.nameOf(ring.words, at)}`);
      }
    }
    expect(seen).toEqual(["create a", "remove a"]);
  });

  test("S0-9 any descriptor that poll takes can be watched", () => {
    using queue = new Queue();
    using event = eventFd();
    using fds = pipe();
    const common = { type: KEVENT_POLL, reqFlags: QUEUED };
    add(queue, { ...common, id: [event.a, 0], event: KEVENT_POLL_IN });
    add(queue, { ...common, id: [fds.b, 0], event: KEVENT_POLL_OUT });
    expect(turn(queue, SECOND).map(({ id }) => id[0])).toEqual([fds.b]);
    signalEvent(event.a);
    expect(turn(queue, SECOND).map(({ id }) => id[0]).sort()).toEqual([event.a, fds.b].sort());
  });

  test("S0-10 a timer fires", () => {
    using queue = new Queue();
    add(queue, {
      id: [0, 5 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED,
    });
    expect(turn(queue, SECOND).map(({ event }) => event)).toEqual([KEVENT_TIMER_FIRED]);
  });

  test("S0-11 S0-13 two interests in one descriptor are a set, and both fire", () => {
    using queue = new Queue();
    using fds = pipe();
    for (const user of [1, 2]) {
      add(queue, {
        id: [fds.a, 0],
        type: KEVENT_POLL,
        event: KEVENT_POLL_IN,
        reqFlags: QUEUED,
        user: [user, 0],
      });
    }
    write(fds.b);
    expect(turn(queue, SECOND).map(({ user }) => user[0]).sort()).toEqual([1, 2]);
  });

  test("S0-12 two queues are independent", () => {
    using one = new Queue();
    using other = new Queue();
    using fds = pipe();
    const fields = {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED,
    } as const;
    add(one, fields);
    add(other, fields);
    write(fds.b);
    expect(turn(one, SECOND)).toHaveLength(1);
    expect(turn(other, SECOND)).toHaveLength(1);
    ctl(one, KEVENT_CTL_REMOVE, fields);
    expect(turn(one)).toHaveLength(0);
    expect(turn(other, SECOND)).toHaveLength(1);
  });

  test("S0-14 a registration fires again and again without being added again", () => {
    using queue = new Queue();
    using fds = pipe();
    add(queue, { id: [fds.a, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED });
    for (let round = 0; round < 5; round++) {
      write(fds.b);
      expect(turn(queue, SECOND)).toHaveLength(1);
      read(fds.a);
      expect(turn(queue)).toHaveLength(0);
    }
  });

  test("S0-15 activity that no mask asks for stays silent", () => {
    using queue = new Queue();
    using fds = socketPair();
    const id = [fds.a, 0] as const;
    const common = { id, type: KEVENT_SOCKET, reqFlags: QUEUED };
    add(queue, { ...common, event: KEVENT_SOCKET_RECV, user: [1, 0] });
    expect(turn(queue)).toHaveLength(0);
    while (write(fds.a, 65536) > 0);
    add(queue, { ...common, event: KEVENT_SOCKET_SEND, user: [2, 0] });
    write(fds.b);
    expect(turn(queue, SECOND).map(({ user }) => user[0])).toEqual([1]);
  });

  test("S0-16 ready events come in the order of first arrival, each once", () => {
    using queue = new Queue();
    const common = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
    for (const user of [1, 2, 3]) add(queue, { ...common, user: [user, 0] });
    for (const user of [3, 1, 3, 2, 1]) queue.trigger(0, 0, KEVENT_USER_COPY | user, user, 0);
    const events = turn(queue);
    expect(events.map(({ user }) => user[0])).toEqual([3, 1, 2]);
    expect(events.map(({ retExtra }) => retExtra)).toEqual([2, 2, 1]);
  });

  test("S0-17 a wait ends with the number asked for, at the timeout, or with at least one", () => {
    using queue = new Queue({ entries: null });
    const common = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
    for (const user of [1, 2]) add(queue, { ...common, user: [user, 0] });
    const trigger = (...users: number[]) => {
      const records = Records.of(
        ...users.map((user) => ({ type: KEVENT_USER, event: 0, user: [user, 0] as const })),
      );
      queue.ctl(5, records);
    };
    trigger(1, 2);
    expect(collect(queue, SECOND, 2)).toHaveLength(2);
    trigger(1);
    expect(collect(queue, 20 * MS, 2)).toHaveLength(1);
    trigger(2);
    expect(collect(queue, SECOND, 1)).toHaveLength(1);
  });

  test("S0-18 a one-shot registration is gone once it fired", () => {
    using queue = new Queue();
    using fds = pipe();
    const fields = {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_IN,
      reqFlags: QUEUED | KEVENT_REQ_ONESHOT,
    } as const;
    add(queue, fields);
    write(fds.b);
    expect(turn(queue, SECOND)).toHaveLength(1);
    write(fds.b);
    expect(turn(queue, 5 * MS)).toHaveLength(0);
    const gone = ctl(queue, KEVENT_CTL_REMOVE, fields);
    expect(gone.retFlags & KEVENT_RET_BROKEN).toBe(KEVENT_RET_BROKEN);
    expect(gone.retData).toBe(2);
  });

  test("S0-19 one call adds, modifies and removes", () => {
    using queue = new Queue();
    using fds = pipe();
    const fields = {
      id: [fds.a, 0],
      type: KEVENT_POLL,
      event: KEVENT_POLL_OUT,
      reqFlags: QUEUED,
    } as const;
    expect(ctl(queue, KEVENT_CTL_ADD, fields).retFlags & KEVENT_RET_BROKEN).toBe(0);
    write(fds.b);
    expect(turn(queue)).toHaveLength(0);
    ctl(queue, KEVENT_CTL_MODIFY, { ...fields, event: KEVENT_POLL_IN });
    expect(turn(queue, SECOND)).toHaveLength(1);
    ctl(queue, KEVENT_CTL_REMOVE, fields);
    expect(turn(queue)).toHaveLength(0);
  });

  test("S0-25 no helper thread on the io_uring path", async (context) => {
    gate(context, "epoll", "epoll has no way to write the wake-up byte without a thread");
    gate(context, "simulated", "the simulated back-end has no path to the kernel");
    const threads = () => readdirSync("/proc/self/task").length;
    {
      using loop = new Loop();
      if (loop.queue.info().backend !== "io_uring") {
        return context.skip("io_uring is not available");
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = threads();
    using loop = new Loop();
    const timer = new Timer(loop);
    await new Promise<void>((resolve) => timer.start(() => resolve(), 5));
    expect(threads()).toBeLessThanOrEqual(before);
  });

  test("S0-28 a user event is triggered from script", () => {
    using queue = new Queue();
    add(queue, { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED, user: [9, 9] });
    expect(turn(queue)).toHaveLength(0);
    queue.trigger(0, 0, KEVENT_USER_COPY | 0xabcdef, 9, 9);
    const [event] = turn(queue);
    expect(event!.retData).toBe(0xabcdef);
    expect(event!.retExtra).toBe(1);
  });

  test("S0-29 a type that this build lacks is answered with BROKEN", () => {
    using queue = new Queue();
    const answer = ctl(queue, KEVENT_CTL_ADD, { type: KEVENT_NAIO, event: 1 });
    expect(answer.retFlags & KEVENT_RET_BROKEN).toBe(KEVENT_RET_BROKEN);
    expect(answer.retData).toBe(95);
  });

  test("the back-end is the one that was asked for", () => {
    using queue = new Queue();
    if (backend !== "auto") expect(queue.info().backend).toBe(backend);
  });
});
