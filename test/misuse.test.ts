// Handles in hands that ask too much of them: used after the end, given away, replaced in callbacks.
import { Buffer } from "node:buffer";
import { readdirSync, readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  Connection,
  type ConnectionHandlers,
  KEVENT_POLL_IN,
  KEVENT_REQ_ONESHOT,
  type KeventError,
  Loop,
  ManualClock,
  Poll,
  Server,
  Timer,
  User,
} from "../adapters/mod.ts";
import { pipe, write } from "./support/libc.ts";

/** Sockets this process has open. */
function sockets(): number {
  let count = 0;
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) count++;
    } catch {
      // It was the one that listed the folder.
    }
  }
  return count;
}

/** A server whose connections have these handlers, and a client. */
function pair(
  loop: Loop,
  server: ConnectionHandlers,
  client: ConnectionHandlers,
): { server: Server; client: Connection } {
  const listening = new Server(loop).listen({}, () => server);
  const { port } = listening;
  return { server: listening, client: Connection.connect(loop, "127.0.0.1", port, client) };
}

describe("misuse", () => {
  test("a handle that was closed cannot be started", async () => {
    using loop = new Loop();
    const closed = [new Timer(loop), new User(loop), new Server(loop)] as const;
    for (const handle of closed) handle.close();
    // These have their places now.
    const tenants = closed.map(() => new Timer(loop));
    const fired = tenants.map((timer) => new Promise<void>((r) => timer.start(() => r(), 5)));
    expect(() => closed[0].start(() => {}, 1)).toThrow(/EBADF/);
    expect(() => closed[1].start(() => {})).toThrow(/EBADF/);
    expect(() => closed[1].trigger()).toThrow(/EBADF/);
    expect(() => closed[2].listen({}, () => ({}))).toThrow(/EBADF/);
    await Promise.all(fired);
  });

  test("what is no loop, or no time, is refused in words", () => {
    using loop = new Loop({ attached: false });
    for (const other of [{}, null, undefined, 5, "loop"]) {
      const made = () => new Timer(other as never);
      expect(made).toThrow("Cannot make handle: EINVAL (loop must be a Loop, not ");
    }
    const timer = new Timer(loop);
    const clock = new ManualClock();
    for (const time of ["5", 5n, Symbol("five"), {}, null, NaN, -1]) {
      const uses = [
        () => new ManualClock(time as never),
        () => clock.advance(time as never),
        () => clock.advanceAsync(time as never),
        () => clock.moveTo(time as never),
        () => timer.start(() => {}, time as never),
        () => timer.start(() => {}, 1, time as never),
      ];
      for (const use of uses) expect(use).toThrow(/Cannot .*: EINVAL \(.* must be .*, not /);
    }
    expect([clock.now(), timer.active]).toEqual([0, false]);
  });

  test("a connection made in the close callback of another lives", async () => {
    using loop = new Loop();
    const opened = new Promise<void>((resolve) => {
      const { client, server } = pair(loop, {}, {
        open: () => client.close(),
        close: () => {
          Connection.connect(loop, "127.0.0.1", server.port, { open: () => resolve() });
        },
      });
    });
    await opened;
  });

  test("a one-shot poll that fired is not active", async () => {
    using loop = new Loop();
    using ends = pipe();
    write(ends.list[1]!);
    const poll = new Poll(loop, ends.list[0]!);
    await new Promise<void>((resolve) => {
      poll.start(KEVENT_POLL_IN, () => resolve(), KEVENT_REQ_ONESHOT);
    });
    expect(poll.active).toBe(false);
    expect(loop.alive).toBe(false);
  });

  test("run does not sleep on a change that was refused", () => {
    using loop = new Loop({ attached: false });
    const poll = new Poll(loop, 999_999);
    const errors: (string | undefined)[] = [];
    poll.onError = (error: KeventError) => errors.push(error.code);
    poll.start(KEVENT_POLL_IN, () => {});
    expect(loop.run()).toBe(false);
    expect(errors).toEqual(["EBADF"]);
  });

  test("bytes that a callback gave away do no harm", async () => {
    using loop = new Loop();
    let got = 0;
    await new Promise<void>((resolve, reject) => {
      const { client } = pair(loop, {
        data(connection, bytes) {
          got += bytes.length;
          structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
          connection.write(new Uint8Array(1));
        },
      }, {
        open: () => void client.write(new Uint8Array(10)),
        data: () => got < 30 ? void client.write(new Uint8Array(10)) : resolve(),
        close: () => reject(new Error("closed")),
      });
    });
    expect(got).toBe(30);
  });

  test("sockets do not outlive their loop", async () => {
    let [port, called] = [0, 0];
    const count = { data: () => called++, close: () => called++ } as ConnectionHandlers;
    const loop = new Loop();
    await new Promise<void>((resolve) => {
      const { server, client } = pair(loop, count, { ...count, open: () => resolve() });
      port = server.port;
      expect(client.closed).toBe(false);
    });
    const before = sockets();
    loop.close();
    // The server, the client, and the end of the client that the kernel or the server has.
    expect(before - sockets()).toBeGreaterThanOrEqual(2);
    using other = new Loop();
    const refused = await new Promise<KeventError | undefined>((resolve) => {
      Connection.connect(other, "127.0.0.1", port, { close: (_, error) => resolve(error) });
    });
    expect(refused?.code).toBe("ECONNREFUSED");
    expect(called).toBe(0);
    expect(() => Connection.connect(loop, "127.0.0.1", port, {})).toThrow(/EBADF/);
  });

  test("write copies what it keeps of a Buffer", async () => {
    using loop = new Loop();
    const size = 16 << 20;
    let [got, wrong] = [0, 0];
    await new Promise<void>((resolve) => {
      const { client } = pair(loop, {
        data(_connection, bytes) {
          for (const byte of bytes) if (byte !== 7) wrong++;
          got += bytes.length;
          if (got === size) resolve();
        },
      }, {
        open() {
          const bytes = Buffer.alloc(size, 7);
          expect(client.write(bytes)).toBe(false);
          bytes.fill(9);
        },
      });
    });
    expect(wrong).toBe(0);
  });
});
