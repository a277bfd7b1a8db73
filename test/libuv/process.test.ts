// libuv's tests of children, by name. The runtime starts them; a driven loop sees how they end.
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  Connection,
  Inode,
  KEVENT_INODE_CREATE,
  KEVENT_POLL_IN,
  KEVENT_POLL_OUT,
  type KeventError,
  Loop,
  Poll,
  Process,
  type ProcessEnd,
  Server,
  Signal,
  Timer,
} from "../../adapters/mod.ts";
import { flagsOf, linkOf, openDescriptors } from "../support/descriptors.ts";
import { counter, driven, limitBlocking } from "../support/driven.ts";
import { Folder } from "../support/folder.ts";
import {
  absentPid,
  blockingPipe,
  Descriptors,
  libc,
  pipe,
  read,
  readText,
  text,
  write,
} from "../support/libc.ts";

limitBlocking();

const SIGTERM = 15;
const SIGWINCH = 28;
const O_CREAT_WRONLY = 0o101;
const O_CLOEXEC = 0o2000000;

/** A child and what a loop heard of its end. */
class Child {
  readonly child: ChildProcess;
  readonly handle: Process;
  readonly closed = counter();
  ends: ProcessEnd[] = [];

  constructor(loop: Loop, script: string, stdio: StdioOptions = "ignore", detached = false) {
    this.child = spawn("sh", ["-c", script], { stdio, detached });
    this.handle = new Process(loop).start(this.child.pid!, (end) => {
      this.ends.push(end);
      this.handle.close(this.closed);
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** That it ended so, once, and its handle was closed then. */
  expectEnd(end: Partial<ProcessEnd>): void {
    expect(this.ends).toEqual([{ code: undefined, signal: undefined, ...end }]);
    expect([this.handle.active, this.closed.calls]).toEqual([false, 1]);
  }
}

/** Collects all that can be read, and closes handle and descriptor at the end. */
class Output {
  readonly closed = counter();
  text = "";

  constructor(loop: Loop, fd: number) {
    const poll: Poll = new Poll(loop, fd).start(KEVENT_POLL_IN, () => {
      const more = readText(fd);
      if (more !== "" && more !== undefined) return void (this.text += more);
      poll.close(this.closed);
      libc.close(fd);
    });
  }
}

/** Writes to a descriptor once that is possible, and then closes it. */
function feed(loop: Loop, fd: number, content: Uint8Array): void {
  const poll: Poll = new Poll(loop, fd).start(KEVENT_POLL_OUT, () => {
    expect(libc.write(fd, content, content.length)).toBe(content.length);
    poll.close();
    libc.close(fd);
  });
}

describe("end", () => {
  test("spawn_exit_code: the exit code of a child is told, once", () => {
    using loop = driven();
    const child = new Child(loop, "exit 1");
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
  });

  test("spawn_fails: a process that is not there is refused, and its handle is not active", () => {
    using loop = driven();
    const ended = counter();
    const errors: KeventError[] = [];
    const handle = new Process(loop);
    handle.onError = (error) => errors.push(error);
    handle.start(absentPid(), ended);
    expect(loop.run()).toBe(false);
    expect(errors.map((error) => error.code)).toEqual(["ESRCH"]);
    expect([handle.active, ended.calls]).toEqual([false, 0]);
    handle.close();
    expect(loop.run()).toBe(false);
  });

  test("spawn_and_kill: the signal that ended a child is told", () => {
    using loop = driven();
    const child = new Child(loop, "exec sleep 1000");
    const closed = counter();
    const timer: Timer = new Timer(loop).start(() => {
      child.child.kill("SIGTERM");
      timer.close(closed);
    }, 20);
    expect(loop.run()).toBe(false);
    child.expectEnd({ signal: SIGTERM });
    expect(closed.calls).toBe(1);
  });

  test("kill: a signal of number 0 ends nobody, and another one does", () => {
    using loop = driven();
    const child = new Child(loop, "exec sleep 1000");
    expect(libc.kill(child.pid, 0)).toBe(0);
    expect(loop.run("nowait")).toBe(true);
    expect(libc.kill(child.pid, SIGTERM)).toBe(0);
    expect(loop.run()).toBe(false);
    child.expectEnd({ signal: SIGTERM });
  });

  test("spawn_detached: a child of its own session is watched too, and outlives an unref'd handle", () => {
    using loop = driven();
    const child = new Child(loop, "exec sleep 1000", "ignore", true);
    child.handle.unref();
    expect(loop.run()).toBe(false);
    expect([child.ends, libc.kill(child.pid, 0)]).toEqual([[], 0]);
    child.handle.ref();
    expect(libc.kill(child.pid, SIGTERM)).toBe(0);
    expect(loop.run()).toBe(false);
    child.expectEnd({ signal: SIGTERM });
  });

  test("spawn_auto_unref: a handle whose process has ended keeps nothing alive, and is not closed", () => {
    using loop = driven();
    const child = spawn("true", { stdio: "ignore" });
    const handle = new Process(loop).start(child.pid!, () => {});
    expect(loop.run()).toBe(false);
    expect([handle.active, handle.closed]).toEqual([false, false]);
    handle.close();
    expect(loop.run()).toBe(false);
    expect(handle.closed).toBe(true);
  });

  test("spawn_exercise_sigchld_issue: a hundred that are not there hide no child's end", () => {
    using loop = driven();
    const child = new Child(loop, "exit 1");
    const [refused, closed] = [counter(), counter()];
    for (let count = 0; count < 100; count++) {
      const handle = new Process(loop);
      handle.onError = () => {
        refused();
        handle.close(closed);
      };
      handle.start(absentPid(), () => {});
    }
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect([refused.calls, closed.calls]).toEqual([100, 100]);
  });
});

describe("output", () => {
  test("spawn_stdout: what a child says and how it ends both arrive", () => {
    using loop = driven();
    const out = blockingPipe();
    const child = new Child(loop, "echo hello world; exit 1", ["ignore", out.b, "ignore"]);
    const output = new Output(loop, out.a);
    out.closeB();
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect([output.text, output.closed.calls]).toEqual(["hello world\n", 1]);
  });

  test("spawn_stdout_to_file: when the end is told, the file has all that the child said", () => {
    using loop = driven();
    using folder = new Folder();
    const path = folder.at("out");
    using file = new Descriptors(libc.open(text(path), O_CREAT_WRONLY | O_CLOEXEC, 0o600));
    const child = new Child(loop, "echo hello world; exit 1", ["ignore", file.a, "ignore"]);
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(readFileSync(path, "utf8")).toBe("hello world\n");
  });

  test("spawn_stdout_and_stderr_to_file: output and errors stand in one file, in their order", () => {
    using loop = driven();
    using folder = new Folder();
    const path = folder.at("out");
    using file = new Descriptors(libc.open(text(path), O_CREAT_WRONLY | O_CLOEXEC, 0o600));
    const script = "echo hello world; echo hello errworld >&2; exit 1";
    const child = new Child(loop, script, ["ignore", file.a, file.a]);
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(readFileSync(path, "utf8")).toBe("hello world\nhello errworld\n");
  });

  test("spawn_stdio_greater_than_3: a fourth stream is read like the others", () => {
    using loop = driven();
    const out = blockingPipe();
    const stdio: StdioOptions = ["ignore", "ignore", "ignore", out.b];
    const child = new Child(loop, "echo fourth stdio! >&3; exit 1", stdio);
    const output = new Output(loop, out.a);
    out.closeB();
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(output.text).toBe("fourth stdio!\n");
  });

  test("spawn_ignored_stdio: a child whose output nobody reads ends all the same", () => {
    using loop = driven();
    const child = new Child(loop, "echo hello world; echo hello errworld >&2; exit 1");
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
  });
});

/** A child that hears something through a pipe, and what it says through another. */
function converse(loop: Loop, script: string, said: Uint8Array, both = false): [Child, Output] {
  const [input, output] = [blockingPipe(), blockingPipe()];
  const child = new Child(loop, script, [input.a, output.b, both ? output.b : "ignore"]);
  feed(loop, input.b, said);
  libc.close(input.a);
  libc.close(output.b);
  return [child, new Output(loop, output.a)];
}

const REPEAT_LINE = 'read line; printf %s "$line"; exit 1';
const encoder = new TextEncoder();

describe("conversation", () => {
  test("spawn_stdin: a child hears what is written to it", () => {
    using loop = driven();
    const [child, output] = converse(loop, REPEAT_LINE, encoder.encode("hello-from-spawn_stdin\n"));
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect([output.text, output.closed.calls]).toEqual(["hello-from-spawn_stdin", 1]);
  });

  test("spawn_and_ping: a child that waits for us lives until we speak", () => {
    using loop = driven();
    const [child, output] = converse(loop, REPEAT_LINE, encoder.encode("TEST\n"));
    expect(libc.kill(child.pid, 0)).toBe(0);
    expect(child.ends).toEqual([]);
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(output.text).toBe("TEST");
  });

  test("spawn_same_stdout_stderr: output and errors of a child may be one pipe", () => {
    using loop = driven();
    const script = 'read line; printf %s "$line"; printf %s "$line" >&2; exit 1';
    const [child, output] = converse(loop, script, encoder.encode("TEST\n"), true);
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(output.text).toBe("TESTTEST");
  });

  test("spawn_inherit_streams: bytes of all values go through a child and come back", () => {
    using loop = driven();
    const bytes = Uint8Array.from({ length: 1023 }, (_, index) => index & 127);
    const [child, output] = converse(loop, "cat; exit 1", bytes);
    expect(loop.run()).toBe(false);
    child.expectEnd({ code: 1 });
    expect(output.text).toBe(new TextDecoder().decode(bytes));
  });

  test("spawn_and_kill_with_std: the end of a child that is killed ends its streams", () => {
    using loop = driven();
    const pipes = [blockingPipe(), blockingPipe(), blockingPipe()] as const;
    const [input, ...outputs] = pipes;
    const stdio = [input.a, outputs[0].b, outputs[1].b];
    const child = new Child(loop, "exec sleep 1000", stdio);
    for (const fd of stdio) libc.close(fd);
    feed(loop, input.b, encoder.encode("nobody listens"));
    const heard = outputs.map((fds) => new Output(loop, fds.a));
    const timer: Timer = new Timer(loop).start(() => {
      child.child.kill("SIGTERM");
      timer.close();
    }, 20);
    expect(loop.run()).toBe(false);
    child.expectEnd({ signal: SIGTERM });
    expect(heard.map(({ text, closed }) => [text, closed.calls])).toEqual([["", 1], ["", 1]]);
  });
});

describe("descriptors", () => {
  test("spawn_fs_open: no child inherits a descriptor of ours", async () => {
    const before = openDescriptors();
    using loop = new Loop();
    using folder = new Folder();
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const opened = await new Promise<Connection>((resolve) => {
      const server = new Server(loop).listen({}, () => ({}));
      Connection.connect(loop, "127.0.0.1", server.port, { open: resolve });
      new Timer(loop).start(() => {}, 60_000);
      new Inode(loop).start(folder.path, KEVENT_INODE_CREATE, () => {});
      new Signal(loop).start(SIGWINCH, () => {});
      new Process(loop).start(child.pid!, () => {});
    });
    const ours = [...openDescriptors()].filter((fd) => !before.has(fd));
    expect(ours).toContain(String(loop.queue.fd));
    expect(ours.length).toBeGreaterThanOrEqual(6);
    const inherited = ours.filter((fd) => (flagsOf(fd) & O_CLOEXEC) === 0);
    expect(inherited.map(linkOf)).toEqual([]);
    opened.close();
    child.kill("SIGKILL");
  });

  test("closed_fd_events: a pipe that is closed here and open in a child disturbs no wait", () => {
    using loop = driven();
    using fds = pipe();
    const [events, fired] = [counter(), counter()];
    const child = new Child(loop, "exec sleep 1000", [fds.a, "ignore", "ignore"]);
    child.handle.unref();
    const poll = new Poll(loop, fds.a).start(KEVENT_POLL_IN, () => {
      events();
      read(fds.a);
    });
    write(fds.b);
    expect(loop.run("once")).toBe(true);
    expect(events.calls).toBe(1);
    poll.close();
    // The child goes on to have the pipe.
    fds.closeA();
    write(fds.a);
    new Timer(loop).start(fired, 10);
    expect(loop.run("once")).toBe(false);
    expect([events.calls, fired.calls]).toEqual([1, 1]);
    child.child.kill("SIGKILL");
  });
});
