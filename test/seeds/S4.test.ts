// Rows S4-* of the checklist: LWN's article. (S4-26 to S4-34, network AIO, belong to a later issue.)
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { describe, expect, test } from "vitest";
import {
  control,
  INODE_CREATED,
  KEVENT_CTL_ADD,
  KEVENT_CTL_INIT,
  KEVENT_CTL_MODIFY,
  KEVENT_CTL_REMOVE,
  KEVENT_CTL_TRIGGER,
  KEVENT_CTL_WAIT,
  KEVENT_INODE,
  KEVENT_INODE_ACCESS,
  KEVENT_INODE_ATTRIB,
  KEVENT_INODE_CLOSE_NOWRITE,
  KEVENT_INODE_CLOSE_WRITE,
  KEVENT_INODE_CREATE,
  KEVENT_INODE_DIRECTORY,
  KEVENT_INODE_IGNORED,
  KEVENT_INODE_MODIFY,
  KEVENT_INODE_MOVE_SELF,
  KEVENT_INODE_MOVED_FROM,
  KEVENT_INODE_MOVED_TO,
  KEVENT_INODE_OPEN,
  KEVENT_INODE_REMOVE,
  KEVENT_INODE_REMOVE_SELF,
  KEVENT_NAIO,
  KEVENT_POLL,
  KEVENT_POLL_HUP,
  KEVENT_POLL_IN,
  KEVENT_POLL_OUT,
  KEVENT_POLL_RDHUP,
  KEVENT_REQ_ALWAYS_QUEUE,
  KEVENT_REQ_ONESHOT,
  KEVENT_RET_BROKEN,
  KEVENT_SOCK,
  KEVENT_SOCKET,
  KEVENT_SOCKET_ACCEPT,
  KEVENT_SOCKET_HANG_UP,
  KEVENT_SOCKET_PEER_CLOSED,
  KEVENT_SOCKET_RECV,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  Queue,
  RECORD_EVENT,
  RECORD_ID_0,
  RECORD_ID_1,
  RECORD_REQ_FLAGS,
  RECORD_RET_DATA,
  RECORD_RET_FLAGS,
  RECORD_TYPE,
  RECORD_USER_0,
  Records,
  SOCK_RECV,
  TIMER_FIRED,
} from "../../adapters/mod.ts";
import { currentRuntime } from "../../loop/host.ts";
import { Folder } from "../support/folder.ts";
import {
  connectTo,
  libc,
  listener,
  pipe,
  pollNow,
  read,
  socketPair,
  text,
  write,
} from "../support/libc.ts";
import { add, ctl, gate, MS, SECOND, turn } from "../support/queue.ts";

const QUEUED = KEVENT_REQ_ALWAYS_QUEUE;
const USER = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
const { calls } = currentRuntime().library;

/** An inode event as a test compares it. */
interface Seen {
  readonly event: number;
  readonly name: string | undefined;
  readonly cookie: number;
}

/** Inode events, until `enough` of them came or a second passed without one. */
function inodeEvents(queue: Queue, enough: number): Seen[] {
  const list: Seen[] = [];
  const ring = queue.ring!;
  while (list.length < enough && queue.turn(SECOND) > 0) {
    while (!ring.empty) {
      const at = ring.consume();
      list.push({
        event: ring.words[at + 3]!,
        name: queue.nameOf(ring.words, at),
        cookie: ring.words[at + 7]!,
      });
    }
  }
  return list;
}

function names(list: readonly Seen[]): (string | undefined)[] {
  return list.map(({ name }) => name);
}

describe("S4 reports", () => {
  test("S4-1 S4-14 a socket tells of connections and of data", () => {
    using queue = new Queue();
    const { fds, address } = listener();
    using listening = fds;
    const common = { type: KEVENT_SOCKET, reqFlags: QUEUED };
    add(queue, { ...common, id: [listening.a, 0], event: KEVENT_SOCKET_ACCEPT });
    const client = connectTo(address);
    expect(turn(queue, SECOND).map(({ event }) => event)).toEqual([KEVENT_SOCKET_ACCEPT]);
    const server = calls.kevent_sock_accept(listening.a);
    expect(server).toBeGreaterThan(0);
    add(queue, { ...common, id: [server, 0], event: KEVENT_SOCKET_RECV, user: [1, 0] });
    write(client, 5);
    expect(turn(queue, SECOND).map(({ user }) => user[0])).toEqual([1]);
    expect(read(server)).toBe(5);
    libc.close(client);
    libc.close(server);
  });

  test("a socket tells how it ended", () => {
    using queue = new Queue();
    using fds = socketPair();
    add(queue, {
      id: [fds.a, 0],
      type: KEVENT_SOCKET,
      event: KEVENT_SOCKET_PEER_CLOSED,
      reqFlags: QUEUED | KEVENT_REQ_ONESHOT,
    });
    libc.shutdown(fds.b, 1);
    expect(turn(queue, SECOND)[0]!.event).toBe(KEVENT_SOCKET_PEER_CLOSED);
    add(queue, {
      id: [fds.a, 0],
      type: KEVENT_SOCKET,
      event: KEVENT_SOCKET_HANG_UP,
      reqFlags: QUEUED | KEVENT_REQ_ONESHOT,
    });
    libc.shutdown(fds.a, 1);
    expect(turn(queue, SECOND)[0]!.event & KEVENT_SOCKET_HANG_UP).toBe(KEVENT_SOCKET_HANG_UP);
  });

  test("S4-2 S4-16 anything poll can report", () => {
    using queue = new Queue();
    const fds = pipe();
    using pair = socketPair();
    const common = { type: KEVENT_POLL, reqFlags: QUEUED | KEVENT_REQ_ONESHOT };
    add(queue, { ...common, id: [fds.a, 0], event: KEVENT_POLL_IN, user: [1, 0] });
    add(queue, { ...common, id: [fds.b, 0], event: KEVENT_POLL_OUT, user: [2, 0] });
    add(queue, { ...common, id: [pair.a, 0], event: KEVENT_POLL_RDHUP, user: [3, 0] });
    expect(turn(queue, SECOND).map(({ user }) => user[0])).toEqual([2]);
    libc.close(fds.b);
    libc.shutdown(pair.b, 1);
    const events = [...turn(queue, SECOND), ...turn(queue, 100 * MS)];
    const byUser = new Map(events.map(({ user, event }) => [user[0], event]));
    expect(byUser.get(1)).toBe(KEVENT_POLL_HUP);
    expect(byUser.get(3)! & KEVENT_POLL_RDHUP).toBe(KEVENT_POLL_RDHUP);
    libc.close(fds.a);
  });

  test("S4-3 S4-15 S4-20 create, modify, close, attributes, remove, with names, in order", () => {
    using queue = new Queue();
    using folder = new Folder();
    const mask = KEVENT_INODE_CREATE | KEVENT_INODE_OPEN | KEVENT_INODE_MODIFY |
      KEVENT_INODE_CLOSE_WRITE | KEVENT_INODE_ATTRIB | KEVENT_INODE_REMOVE;
    queue.addInode(folder.path, mask, QUEUED, 1, 1);
    const path = folder.file("name", "content");
    chmodSync(path, 0o600);
    unlinkSync(path);
    const seen = inodeEvents(queue, 6);
    expect(seen.map(({ event }) => event)).toEqual([
      KEVENT_INODE_CREATE,
      KEVENT_INODE_OPEN,
      KEVENT_INODE_MODIFY,
      KEVENT_INODE_CLOSE_WRITE,
      KEVENT_INODE_ATTRIB,
      KEVENT_INODE_REMOVE,
    ]);
    expect(new Set(names(seen))).toEqual(new Set(["name"]));
  });

  test("S4-3 reading: open, access, close", () => {
    using queue = new Queue();
    using folder = new Folder();
    const path = folder.file("name", "content");
    const mask = KEVENT_INODE_ACCESS | KEVENT_INODE_CLOSE_NOWRITE;
    queue.addInode(folder.path, mask, QUEUED, 1, 1);
    readFileSync(path);
    const kinds = inodeEvents(queue, 2).map(({ event }) => event);
    expect(kinds).toEqual([KEVENT_INODE_ACCESS, KEVENT_INODE_CLOSE_NOWRITE]);
  });

  test("S4-3 both halves of a rename have the same cookie", () => {
    using queue = new Queue();
    using folder = new Folder();
    const from = folder.file("from");
    queue.addInode(folder.path, KEVENT_INODE_MOVED_FROM | KEVENT_INODE_MOVED_TO, QUEUED, 1, 1);
    renameSync(from, folder.at("to"));
    const seen = inodeEvents(queue, 2);
    expect(seen.map(({ event, name }) => [event, name])).toEqual([
      [KEVENT_INODE_MOVED_FROM, "from"],
      [KEVENT_INODE_MOVED_TO, "to"],
    ]);
    expect(seen[0]!.cookie).toBe(seen[1]!.cookie);
    expect(seen[0]!.cookie).not.toBe(0);
  });

  test("S4-3 directories are marked, and the end of the watched one is told", () => {
    using queue = new Queue();
    using folder = new Folder();
    const inner = folder.at("inner");
    mkdirSync(inner);
    const mask = KEVENT_INODE_CREATE | KEVENT_INODE_REMOVE_SELF | KEVENT_INODE_MOVE_SELF;
    queue.addInode(inner, mask, QUEUED, 1, 1);
    mkdirSync(`${inner}/child`);
    rmdirSync(`${inner}/child`);
    renameSync(inner, folder.at("moved"));
    rmdirSync(folder.at("moved"));
    const seen = inodeEvents(queue, 4);
    expect(seen.map(({ event }) => event)).toEqual([
      KEVENT_INODE_CREATE | KEVENT_INODE_DIRECTORY,
      KEVENT_INODE_MOVE_SELF,
      KEVENT_INODE_REMOVE_SELF,
      KEVENT_INODE_IGNORED,
    ]);
    expect(names(seen)).toEqual(["child", undefined, undefined, undefined]);
  });

  test("S4-3 a file itself can be watched", () => {
    using queue = new Queue();
    using folder = new Folder();
    const path = folder.file("file");
    queue.addInode(path, KEVENT_INODE_MODIFY, QUEUED, 1, 1);
    writeFileSync(path, "more");
    const [seen] = inodeEvents(queue, 1);
    expect(seen).toMatchObject({ event: KEVENT_INODE_MODIFY, name: undefined });
  });

  test("S4-3 an inode is named by a descriptor too", () => {
    using queue = new Queue();
    using folder = new Folder();
    const O_PATH = 0o10000000;
    const fd = libc.open(text(folder.path), O_PATH, 0);
    const fields = { id: [fd, 0], type: KEVENT_INODE, event: KEVENT_INODE_CREATE } as const;
    add(queue, { ...fields, reqFlags: QUEUED });
    libc.close(fd);
    folder.file("name");
    expect(names(inodeEvents(queue, 1))).toEqual(["name"]);
  });

  test("S4-3 two interests in one inode each get what they asked for", () => {
    using queue = new Queue();
    using other = new Queue();
    using folder = new Folder();
    queue.addInode(folder.path, KEVENT_INODE_CREATE, QUEUED, 1, 0);
    queue.addInode(folder.path, KEVENT_INODE_REMOVE, QUEUED, 2, 0);
    other.addInode(folder.path, KEVENT_INODE_REMOVE, QUEUED, 3, 0);
    unlinkSync(folder.file("name"));
    const kinds = inodeEvents(queue, 2).map(({ event }) => event);
    expect(kinds).toEqual([KEVENT_INODE_CREATE, KEVENT_INODE_REMOVE]);
    expect(inodeEvents(other, 1).map(({ event }) => event)).toEqual([KEVENT_INODE_REMOVE]);
  });

  test("names that the area has no room for wait until there is some", () => {
    using queue = new Queue({ names: 260, entries: 512 });
    using folder = new Folder();
    queue.addInode(folder.path, KEVENT_INODE_CREATE, QUEUED, 1, 1);
    const long = Array.from({ length: 40 }, (_, index) => `${index}-`.padEnd(200, "x"));
    for (const name of long) closeSync(openSync(folder.at(name), "w"));
    expect(names(inodeEvents(queue, 40))).toEqual(long);
  });

  test("a thousand names come in order and none is lost", () => {
    using queue = new Queue({ entries: 64 });
    using folder = new Folder();
    queue.addInode(folder.path, KEVENT_INODE_CREATE, QUEUED, 1, 1);
    const many = Array.from({ length: 1000 }, (_, index) => `file-${index}`);
    for (const name of many) folder.file(name);
    expect(names(inodeEvents(queue, 1000))).toEqual(many);
  });

  test("names are bytes: what is no UTF-8 still comes", () => {
    using queue = new Queue();
    using folder = new Folder();
    queue.addInode(folder.path, KEVENT_INODE_CREATE, QUEUED, 1, 1);
    folder.file("größe-文件");
    const path = text(`${folder.path}/bad-?`);
    path[path.length - 2] = 0xff;
    libc.close(libc.open(path, 0o101, 0o600));
    expect(names(inodeEvents(queue, 2))).toEqual(["größe-文件", "bad-\ufffd"]);
  });

  test("S4-5 S4-17 timer events", () => {
    using queue = new Queue();
    add(queue, { id: [0, MS], type: KEVENT_TIMER, event: KEVENT_TIMER_FIRED, reqFlags: QUEUED });
    expect(turn(queue, SECOND).map(({ type }) => type)).toEqual([KEVENT_TIMER]);
  });

  test("S4-4 S4-18 network AIO is answered with BROKEN in this version", () => {
    using queue = new Queue();
    const answer = ctl(queue, KEVENT_CTL_ADD, { type: KEVENT_NAIO, event: 1 });
    expect(answer.retFlags & KEVENT_RET_BROKEN).toBe(KEVENT_RET_BROKEN);
  });
});

describe("S4 interface", () => {
  test("S4-6 S4-7 S4-9 S4-10 S4-22 S4-23 S4-24 one call makes, changes and waits", () => {
    const fd = control(0, KEVENT_CTL_INIT);
    expect(fd).toBeGreaterThan(0);
    const records = Records.of({ ...USER, user: [1, 0] }, { ...USER, user: [2, 0] });
    expect(control(fd, KEVENT_CTL_ADD, 0, records)).toBe(2);
    expect(control(fd, KEVENT_CTL_MODIFY, 0, records)).toBe(2);
    const triggers = Records.of(
      { ...USER, event: 0, user: [2, 0] },
      { ...USER, event: 0, user: [1, 0] },
    );
    expect(control(fd, KEVENT_CTL_TRIGGER, 0, triggers)).toBe(2);
    const events = new Records(2);
    expect(control(fd, KEVENT_CTL_WAIT, 1000, events)).toBe(2);
    expect([events.get(0).user[0], events.get(1).user[0]]).toEqual([2, 1]);
    expect(control(fd, KEVENT_CTL_REMOVE, 0, records)).toBe(2);
    expect(control(fd, KEVENT_CTL_WAIT, 10, events)).toBe(0);
    expect(calls.kevent_close(fd)).toBe(0);
  });

  test("S4-8 the descriptor is a place for housekeeping: reading it gives nothing", () => {
    using queue = new Queue();
    expect(read(queue.fd, 40)).toBeLessThanOrEqual(0);
  });

  test("S4-11 S4-12 the order of the fields", () => {
    expect([
      RECORD_ID_0,
      RECORD_ID_1,
      RECORD_TYPE,
      RECORD_EVENT,
      RECORD_REQ_FLAGS,
      RECORD_RET_FLAGS,
      RECORD_RET_DATA,
      RECORD_USER_0,
    ]).toEqual([0, 4, 8, 12, 16, 20, 24, 32]);
  });

  test("S4-13 id is a descriptor, or the period of a timer", () => {
    using queue = new Queue();
    using fds = pipe();
    write(fds.b);
    add(queue, { id: [fds.a, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED });
    add(queue, {
      id: [0, 3 * MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED,
    });
    expect(turn(queue, SECOND)[0]!.id).toEqual([fds.a, 0]);
    read(fds.a);
    expect(turn(queue, SECOND)[0]!.id).toEqual([0, 3 * MS]);
  });

  test("the short names of the description are aliases", () => {
    expect([KEVENT_SOCK, SOCK_RECV, INODE_CREATED, TIMER_FIRED]).toEqual([
      KEVENT_SOCKET,
      KEVENT_SOCKET_RECV,
      KEVENT_INODE_CREATE,
      KEVENT_TIMER_FIRED,
    ]);
  });

  test("S4-25 the descriptor is readable exactly while events wait", (context) => {
    gate(context, "simulated", "its descriptor is no window on the kernel");
    using queue = new Queue({ shared: true });
    using fds = pipe();
    const readable = () => pollNow(queue.fd);
    expect(readable()).toBe(0);
    add(queue, { id: [fds.a, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED });
    add(queue, { ...USER, user: [2, 0] });
    expect(readable()).toBe(0);
    write(fds.b);
    expect(readable()).toBe(1);
    expect(turn(queue)).toHaveLength(1);
    expect(readable()).toBe(1);
    read(fds.a);
    turn(queue);
    expect(readable()).toBe(0);
    ctl(queue, KEVENT_CTL_TRIGGER, { ...USER, event: 0, user: [2, 0] });
    expect(readable()).toBe(1);
    turn(queue);
    expect(readable()).toBe(0);
    add(queue, {
      id: [0, MS],
      type: KEVENT_TIMER,
      event: KEVENT_TIMER_FIRED,
      reqFlags: QUEUED | KEVENT_REQ_ONESHOT,
    });
    const deadline = performance.now() + 2000;
    while (readable() === 0 && performance.now() < deadline);
    expect(readable()).toBe(1);
    expect(turn(queue)).toHaveLength(1);
    expect(readable()).toBe(0);
  });

  test("S4-25 one queue can watch another", (context) => {
    gate(context, "simulated", "its descriptor is no window on the kernel");
    using inner = new Queue({ shared: true });
    using outer = new Queue();
    add(inner, { ...USER, user: [1, 0] });
    add(outer, { id: [inner.fd, 0], type: KEVENT_POLL, event: KEVENT_POLL_IN, reqFlags: QUEUED });
    expect(turn(outer)).toHaveLength(0);
    ctl(inner, KEVENT_CTL_TRIGGER, { ...USER, event: 0, user: [1, 0] });
    expect(turn(outer, SECOND).map(({ id }) => id[0])).toEqual([inner.fd]);
    expect(turn(inner)).toHaveLength(1);
    expect(turn(outer)).toHaveLength(0);
  });
});
