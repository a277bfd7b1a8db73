// libuv's tests of ref and unref, by name: that `run` returns is the proof.
import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import {
  Async,
  Check,
  Idle,
  Inode,
  KEVENT_INODE_CREATE,
  KEVENT_POLL_IN,
  Poll,
  Prepare,
  Process,
  Server,
  Timer,
} from "../../adapters/mod.ts";
import { closes, counter, driven, limitBlocking } from "../support/driven.ts";
import { Folder } from "../support/folder.ts";
import { datagramSocket, Descriptors, pipe, unixListener } from "../support/libc.ts";

limitBlocking();

describe("loop and phases", () => {
  test("ref: nothing keeps an empty loop alive", () => {
    using loop = driven();
    expect(loop.run()).toBe(false);
  });

  test("idle_ref: an unref'd idle handle keeps nothing alive, and is not called", () => {
    using loop = driven();
    const called = counter();
    const idle = new Idle(loop).start(called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(idle)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("prepare_ref: an unref'd prepare handle keeps nothing alive, and is not called", () => {
    using loop = driven();
    const called = counter();
    const prepare = new Prepare(loop).start(called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(prepare)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("check_ref: an unref'd check handle keeps nothing alive, and is not called", () => {
    using loop = driven();
    const called = counter();
    const check = new Check(loop).start(called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(check)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("unref_in_prepare_cb: what is unref'd before the wait is not waited for", () => {
    using loop = driven();
    const called = counter();
    const prepare: Prepare = new Prepare(loop).start(() => {
      called();
      prepare.unref();
    });
    expect(loop.run()).toBe(false);
    expect(called.calls).toBe(1);
    expect(closes(prepare)).toBe(true);
  });

  test("has_ref: a handle is ref'd from the start, and says so, active or not", () => {
    using loop = driven();
    const idle = new Idle(loop);
    expect(idle.hasRef()).toBe(true);
    expect(idle.ref().hasRef()).toBe(true);
    expect(idle.unref().hasRef()).toBe(false);
    expect(idle.start(() => {}).hasRef()).toBe(false);
    expect(idle.ref().hasRef()).toBe(true);
  });
});

describe("time", () => {
  test("timer_ref: a timer that was not started keeps nothing alive", () => {
    using loop = driven();
    const timer = new Timer(loop);
    expect(loop.alive).toBe(false);
    timer.unref();
    expect(loop.run()).toBe(false);
    expect(closes(timer)).toBe(true);
  });

  test("timer_ref2: an unref'd timer that repeats keeps nothing alive", () => {
    using loop = driven();
    const called = counter();
    const timer = new Timer(loop).start(called, 42, 42).unref();
    expect(loop.run()).toBe(false);
    expect(closes(timer)).toBe(true);
    expect(called.calls).toBe(0);
  });
});

describe("events", () => {
  test("async_ref: an unref'd async handle keeps nothing alive", () => {
    using loop = driven();
    const called = counter();
    const async = new Async(loop, called);
    expect(loop.alive).toBe(true);
    async.unref();
    expect(loop.run()).toBe(false);
    expect(closes(async)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("fs_event_ref: an unref'd watch of a directory keeps nothing alive", () => {
    using loop = driven();
    using folder = new Folder();
    const called = counter();
    const inode = new Inode(loop).start(folder.path, KEVENT_INODE_CREATE, called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(inode)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("process_ref: an unref'd process keeps nothing alive, though it never ends", () => {
    using loop = driven();
    const called = counter();
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const process = new Process(loop).start(child.pid!, called).unref();
    expect(loop.run()).toBe(false);
    expect(child.kill("SIGKILL")).toBe(true);
    expect(closes(process)).toBe(true);
    expect(called.calls).toBe(0);
  });
});

describe("sockets", () => {
  test("tcp_ref: a server that does not listen keeps nothing alive", () => {
    using loop = driven();
    const server = new Server(loop);
    expect(loop.alive).toBe(false);
    server.unref();
    expect(loop.run()).toBe(false);
    expect(closes(server)).toBe(true);
  });

  test("tcp_ref2: an unref'd server that listens keeps nothing alive", () => {
    using loop = driven();
    const server = new Server(loop).listen({}, () => ({})).unref();
    expect(loop.run()).toBe(false);
    expect(closes(server)).toBe(true);
  });

  test("tcp_ref2b: the close of an unref'd server is told", () => {
    using loop = driven();
    const closed = counter();
    new Server(loop).listen({}, () => ({})).unref().close(closed);
    expect(loop.run()).toBe(false);
    expect(closed.calls).toBe(1);
  });

  test("udp_ref: a poll handle of a datagram socket that was not started keeps nothing alive", () => {
    using loop = driven();
    using socket = new Descriptors(datagramSocket());
    const poll = new Poll(loop, socket.a);
    expect(loop.alive).toBe(false);
    poll.unref();
    expect(loop.run()).toBe(false);
    expect(closes(poll)).toBe(true);
  });

  test("udp_ref2: an unref'd reader of datagrams keeps nothing alive", () => {
    using loop = driven();
    using socket = new Descriptors(datagramSocket());
    const called = counter();
    const poll = new Poll(loop, socket.a).start(KEVENT_POLL_IN, called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(poll)).toBe(true);
    expect(called.calls).toBe(0);
  });

  test("pipe_ref: a poll handle of a pipe that was not started keeps nothing alive", () => {
    using loop = driven();
    using fds = pipe();
    const poll = new Poll(loop, fds.a);
    expect(loop.alive).toBe(false);
    poll.unref();
    expect(loop.run()).toBe(false);
    expect(closes(poll)).toBe(true);
  });

  test("pipe_ref2: an unref'd listener on a Unix socket keeps nothing alive", () => {
    using loop = driven();
    using socket = new Descriptors(unixListener());
    const called = counter();
    const poll = new Poll(loop, socket.a).start(KEVENT_POLL_IN, called).unref();
    expect(loop.run()).toBe(false);
    expect(closes(poll)).toBe(true);
    expect(called.calls).toBe(0);
  });
});
