// libuv's tests of `uv_poll_t`, by name.
import { describe, expect, test } from "vitest";
import {
  Idle,
  KEVENT_CTL_TRIGGER,
  KEVENT_POLL_HUP,
  KEVENT_POLL_IN,
  KEVENT_POLL_OUT,
  KEVENT_POLL_PRI,
  KEVENT_POLL_RDHUP,
  KEVENT_USER,
  KEVENT_USER_TRIGGERED,
  type Loop,
  Poll,
  Queue,
  Timer,
} from "../../adapters/mod.ts";
import { add, ctl } from "../support/queue.ts";
import { Random } from "../../examples/demo/random.ts";
import { closes, counter, driven, limitBlocking } from "../support/driven.ts";
import {
  accept,
  bytes,
  connectTo,
  Descriptors,
  libc,
  listener,
  pipe,
  read,
  readText,
  streamSocket,
  write,
} from "../support/libc.ts";

limitBlocking();

const MSG_OOB = 1;
const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;

/** Connections at once. */
const CLIENTS = 5;
/** What each end that sends has to send. */
const TRANSFER_BYTES = 1 << 15;

/** What all ends of a transfer have in common. */
interface Transfer {
  readonly loop: Loop;
  readonly random: Random;
  readonly ends: End[];
  /** How often sending was told to be possible, and was or was not. */
  valid: number;
  spurious: number;
}

/** One end of a connection that reads and sends by moods, until both sides have ended. */
class End {
  readonly poll: Poll;
  readonly sends: boolean;
  read = 0;
  sent = 0;
  disconnects = 0;
  closings = 0;
  /** Kinds told that nobody asked for, and times that `active` was not what it should be. */
  wrong = 0;
  readonly #transfer: Transfer;
  readonly #timer: Timer;
  #wanted = KEVENT_POLL_IN | KEVENT_POLL_OUT | KEVENT_POLL_RDHUP;
  #asked = 0;
  #later = 0;
  #gotEnd = false;
  #sentEnd = false;

  constructor(transfer: Transfer, fd: number, sends: boolean) {
    this.#transfer = transfer;
    this.sends = sends;
    this.#timer = new Timer(transfer.loop);
    this.poll = new Poll(transfer.loop, fd);
    this.#ask(this.#wanted);
    transfer.ends.push(this);
  }

  #ask(events: number): void {
    this.#asked = events;
    if (events === 0) this.poll.stop();
    else this.poll.start(events, (told) => this.#onEvents(told));
    if (this.poll.active !== (events !== 0)) this.wrong++;
  }

  #onEvents(told: number): void {
    // Nobody needs to ask for the end of both directions.
    if ((told & ~(this.#asked | KEVENT_POLL_HUP)) !== 0) this.wrong++;
    if ((told & KEVENT_POLL_IN) !== 0) this.#readSome();
    if ((told & KEVENT_POLL_OUT) !== 0) this.#sendSome();
    if ((told & KEVENT_POLL_RDHUP) !== 0) {
      this.disconnects++;
      this.#wanted &= ~KEVENT_POLL_RDHUP;
    }
    if (this.#gotEnd && this.#sentEnd && this.disconnects > 0) this.#close();
    else if (this.#wanted !== this.#asked) this.#ask(this.#wanted);
  }

  #close(): void {
    const { poll } = this;
    // Before the loop has let go of it, which happens in its next turn.
    libc.close(poll.fd);
    poll.close(() => this.closings++);
    this.#timer.close(() => this.closings++);
  }

  #readSome(): void {
    const mood = this.#transfer.random.between(0, 6);
    if (mood < 2) this.#readOnce(74);
    else if (mood < 4) { while (this.#readOnce(931)); }
    else if (mood === 5) this.#pause(KEVENT_POLL_IN, 2);
    else if (mood === 6) this.#waver(KEVENT_POLL_OUT, KEVENT_POLL_IN);
  }

  #readOnce(length: number): boolean {
    const got = read(this.poll.fd, length);
    if (got > 0) this.read += got;
    if (got === 0) {
      this.#gotEnd = true;
      this.#wanted &= ~KEVENT_POLL_IN;
    }
    return got > 0;
  }

  #sendSome(): void {
    if (!this.sends || this.sent === TRANSFER_BYTES) {
      libc.shutdown(this.poll.fd, SHUT_WR);
      this.#sentEnd = true;
      this.#wanted &= ~KEVENT_POLL_OUT;
      return;
    }
    const mood = this.#transfer.random.between(0, 6);
    if (mood < 4) {
      if (this.#sendOnce(mood < 2 ? 103 : 1234)) this.#transfer.valid++;
      else this.#transfer.spurious++;
      if (mood >= 2) { while (this.#sendOnce(1234)); }
    } else if (mood === 5) this.#pause(KEVENT_POLL_OUT, 5);
    else if (mood === 6) this.#waver(KEVENT_POLL_IN, KEVENT_POLL_OUT);
  }

  #sendOnce(length: number): boolean {
    const rest = Math.min(TRANSFER_BYTES - this.sent, length);
    const got = rest === 0 ? 0 : libc.send(this.poll.fd, bytes(rest), rest, MSG_NOSIGNAL);
    if (got > 0) this.sent += got;
    return got > 0;
  }

  /** Does without some events for a while. */
  #pause(events: number, ms: number): void {
    this.#wanted &= ~events;
    this.#later |= events;
    if (this.#timer.active) return;
    this.#timer.start(() => {
      if (this.#timer.active) this.wrong++;
      this.#wanted |= this.#later;
      this.#later = 0;
      this.#ask(this.#wanted);
    }, ms);
  }

  /** Changes its mind, and again, and at the end of the callback back to what it was. */
  #waver(first: number, second: number): void {
    this.#ask(first);
    this.#ask(second);
  }
}

/** Runs clients and a server of one loop that send to each other, or clients that send only. */
function transfer(duplex: boolean): Transfer {
  using loop = driven();
  const state: Transfer = { loop, random: new Random(7), ends: [], valid: 0, spurious: 0 };
  const { fds, address } = listener();
  const server: Poll = new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
    new End(state, accept(fds.a), duplex);
    if (state.ends.length < 2 * CLIENTS) return;
    fds[Symbol.dispose]();
    server.close();
  });
  for (let count = 0; count < CLIENTS; count++) {
    const fd = streamSocket();
    new End(state, fd, true);
    libc.connect(fd, address, 16);
  }
  expect(loop.run()).toBe(false);
  return state;
}

function checkTransfer({ ends, valid, spurious }: Transfer): void {
  expect(ends).toHaveLength(2 * CLIENTS);
  for (const end of ends) {
    expect(end.sent).toBe(end.sends ? TRANSFER_BYTES : 0);
    expect([end.wrong, end.disconnects, end.closings]).toEqual([0, 1, 2]);
  }
  const sum = (key: "read" | "sent") => ends.reduce((total, end) => total + end[key], 0);
  expect(sum("read")).toBe(sum("sent"));
  expect(spurious * 20).toBeLessThan(valid + spurious);
}

describe("connections", () => {
  test("poll_duplex: both ends read, send, pause and waver, and all arrives", () => {
    const state = transfer(true);
    checkTransfer(state);
    expect(state.ends.map((end) => end.read)).toEqual(state.ends.map(() => TRANSFER_BYTES));
  });

  test("poll_unidirectional: one end only sends and the other only reads, and all arrives", () => {
    const state = transfer(false);
    checkTransfer(state);
    const reads = state.ends.map((end) => end.sends ? 0 : TRANSFER_BYTES);
    expect(state.ends.map((end) => end.read)).toEqual(reads);
  });

  test("poll_oob: urgent data is told apart from the rest, which comes in order", () => {
    using loop = driven();
    const { fds: listening, address } = listener();
    using fds = new Descriptors(connectTo(address));
    fds.list.push(accept(listening.a));
    listening[Symbol.dispose]();
    const log: string[] = [];
    const text = (value: string) => new TextEncoder().encode(value);
    const onClient = (events: number) => {
      if ((events & KEVENT_POLL_PRI) !== 0) {
        const urgent = bytes(1);
        libc.recv(fds.a, urgent, 1, MSG_OOB);
        log.push(`urgent ${String.fromCharCode(urgent[0]!)}`);
        client.start(KEVENT_POLL_IN | KEVENT_POLL_OUT, onClient);
        return;
      }
      if ((events & KEVENT_POLL_IN) !== 0) log.push(readText(fds.a)!);
      if ((events & KEVENT_POLL_OUT) !== 0) libc.send(fds.a, text("foo"), 3, MSG_NOSIGNAL);
    };
    const client = new Poll(loop, fds.a);
    client.start(KEVENT_POLL_PRI | KEVENT_POLL_IN | KEVENT_POLL_OUT, onClient);
    const server: Poll = new Poll(loop, fds.b).start(KEVENT_POLL_IN, () => {
      log.push(readText(fds.b, 3)!);
      server.stop();
    });
    const idle: Idle = new Idle(loop).start(() => {
      if (log.length < 4) return;
      client.stop();
      idle.stop();
    });
    // The last byte of what is sent so is the urgent one.
    expect(libc.send(fds.b, text("hello"), 5, MSG_OOB)).toBe(5);
    expect(libc.send(fds.b, text("world"), 5, 0)).toBe(5);
    expect(loop.run()).toBe(false);
    // What comes before the urgent byte is read by itself.
    expect(log.filter((line) => line !== "foo")).toEqual(["urgent o", "hell", "world"]);
    expect(log).toContain("foo");
  });
});

describe("handles", () => {
  test("poll_close: handles that are closed before they were watched are told so, and no more", () => {
    using loop = driven();
    using sockets = new Descriptors(...Array.from({ length: 64 }, streamSocket));
    const [called, closed] = [counter(), counter()];
    const polls = sockets.list.map((fd) =>
      new Poll(loop, fd).start(KEVENT_POLL_IN | KEVENT_POLL_OUT, called)
    );
    for (const poll of polls) poll.close(closed);
    expect(loop.run()).toBe(false);
    expect([called.calls, closed.calls]).toEqual([0, 64]);
  });

  test("poll_multiple_handles: of two handles of one descriptor, the end of one is not the other's", () => {
    using loop = driven();
    using fds = pipe();
    const closed = counter();
    const [one, two] = [counter(), counter()];
    const first = new Poll(loop, fds.a).start(KEVENT_POLL_IN, one);
    const second = new Poll(loop, fds.a).start(KEVENT_POLL_IN, two);
    write(fds.b);
    while (one.calls * two.calls === 0) loop.run("once");
    first.stop();
    const before = [one.calls, two.calls];
    first.close(closed);
    second.unref();
    expect(loop.run()).toBe(false);
    expect(closed.calls).toBe(1);
    second.ref();
    expect([second.active, loop.run("once")]).toEqual([true, true]);
    expect(one.calls).toBe(before[0]);
    expect(two.calls).toBeGreaterThan(before[1]!);
    expect(closes(second)).toBe(true);
  });

  test("close_fd: what was written before the end is read first, and the end when asked again", () => {
    using loop = driven();
    using fds = pipe();
    const log: (string | undefined)[] = [];
    write(fds.b);
    fds.closeB();
    const poll = new Poll(loop, fds.a);
    const onReadable = () => {
      log.push(readText(fds.a, 1));
      if (log.length === 1) poll.stop();
      else poll.close();
    };
    poll.start(KEVENT_POLL_IN, onReadable);
    expect(loop.run()).toBe(false);
    expect([log, poll.active]).toEqual([["\0"], false]);
    poll.start(KEVENT_POLL_IN, onReadable);
    expect(loop.run()).toBe(false);
    expect([log, poll.closed]).toEqual([["\0", ""], true]);
  });

  test("iouring_pollhup: the end of a closed pipe is not told of the next one of its number", () => {
    using loop = driven();
    using old = pipe();
    using next = pipe();
    // Keeps the old pipe open, which goes on to say that its other end is gone.
    using kept = new Descriptors(libc.dup(old.a));
    const log: string[] = [];
    const onNext = () => {
      log.push(`next ${readText(old.a)}`);
      second.close();
    };
    const second = new Poll(loop, old.a);
    const idle = new Idle(loop);
    const first: Poll = new Poll(loop, old.a).start(KEVENT_POLL_IN, () => {
      log.push(`old ${readText(old.a)}`);
      first.close();
      libc.dup2(next.a, old.a);
      second.start(KEVENT_POLL_IN, onNext);
      idle.start(() => {
        if (log.push("idle") < 5) return;
        idle.stop();
        next.closeB();
      });
    });
    old.closeB();
    expect(loop.run()).toBe(false);
    expect(kept.list).toHaveLength(1);
    expect(log).toEqual(["old ", "idle", "idle", "idle", "idle", "next "]);
  });
});

describe("nested", () => {
  test("poll_nested_epoll: an epoll instance with nothing in it is silent", () => {
    using loop = driven();
    using inner = new Descriptors(libc.epoll_create1(0));
    const called = counter();
    const poll = new Poll(loop, inner.a).start(KEVENT_POLL_IN, called);
    expect(loop.run("nowait")).toBe(true);
    expect(closes(poll)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("poll_nested_kqueue: a queue in a loop is silent until it has an event", () => {
    using loop = driven();
    using inner = new Queue({ single: false });
    const called = counter();
    const user = { type: KEVENT_USER, event: KEVENT_USER_TRIGGERED };
    add(inner, user);
    const poll = new Poll(loop, inner.fd).start(KEVENT_POLL_IN, called);
    expect(loop.run("nowait")).toBe(true);
    expect(called.calls).toBe(0);
    ctl(inner, KEVENT_CTL_TRIGGER, user);
    expect(loop.run("once")).toBe(true);
    expect(called.calls).toBe(1);
    expect(closes(poll)).toBe(true);
  });
});
