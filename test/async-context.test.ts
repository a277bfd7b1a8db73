// Callbacks see the async context (`AsyncLocalStorage`) of the call that set them, whoever moves the loop.
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import {
  Connection,
  type ConnectionHandlers,
  Loop,
  ManualClock,
  Process,
  Server,
  Timer,
} from "../adapters/mod.ts";
import { absentPid } from "./support/libc.ts";

const store = new AsyncLocalStorage<string>();

/** Handlers as methods of a class. */
class Talker implements ConnectionHandlers {
  readonly log: string[];
  readonly closed = Promise.withResolvers<void>();
  readonly #greets: boolean;

  constructor(greets: boolean, log: string[]) {
    this.#greets = greets;
    this.log = log;
  }

  #say(name: string): void {
    this.log.push(`${name} ${store.getStore()}`);
  }

  open(connection: Connection): void {
    this.#say("open");
    // More than the kernel takes at once.
    if (this.#greets) connection.write(new Uint8Array(16e6));
  }

  data(): void {
    this.#say("data");
  }

  drain(connection: Connection): void {
    this.#say("drain");
    connection.end();
  }

  end(connection: Connection): void {
    this.#say("end");
    connection.end();
  }

  close(): void {
    this.#say("close");
    this.closed.resolve();
  }
}

describe("async context", () => {
  test("of all handlers of servers and connections, also methods of a class", async () => {
    using loop = new Loop();
    const ours = new Talker(true, []);
    const theirs = new Talker(false, []);
    const server = new Server(loop);
    store.run("server", () => {
      server.listen({}, () => {
        theirs.log.push(`accept ${store.getStore()}`);
        return theirs;
      });
    });
    store.run("client", () => void Connection.connect(loop, "127.0.0.1", server.port, ours));
    await Promise.all([ours.closed.promise, theirs.closed.promise]);
    const seen = (talker: Talker): string[] => [...new Set(talker.log)].sort();
    expect(seen(ours)).toEqual(["close client", "drain client", "end client", "open client"]);
    expect(seen(theirs)).toEqual(["accept server", "close server", "data server", "end server"]);
  });

  test("of onError", async () => {
    using loop = new Loop();
    const seen = await new Promise<string | undefined>((resolve) => {
      const absent = new Process(loop);
      store.run("mine", () => absent.onError = () => resolve(store.getStore()));
      expect(absent.onError).toBeTypeOf("function");
      absent.start(absentPid(), () => {});
    });
    expect(seen).toBe("mine");
  });

  test("is not that of whoever calls run, or moves a clock", () => {
    const seen: (string | undefined)[] = [];
    using loop = new Loop({ attached: false });
    const see = () => void seen.push(store.getStore());
    new Timer(loop).start(see, 1);
    store.run("timer", () => void new Timer(loop).start(see, 1));
    store.run("runner", () => {
      loop.run();
      expect(store.getStore()).toBe("runner");
    });
    const clock = new ManualClock();
    loop.clock = clock;
    new Timer(loop).start(see, 1);
    store.run("mover", () => void clock.advance(1e6));
    expect(seen).toEqual([undefined, "timer", undefined]);
  });
});
