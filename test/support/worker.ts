// Workers that answer messages, the same in both runtimes.

/** What is used of a web Worker. */
interface Port {
  postMessage(message: unknown): void;
  terminate(): void;
  onmessage: ((event: { data: unknown }) => void) | null;
  onerror: ((event: { message: string; preventDefault(): void }) => void) | null;
}

declare const globalThis: { Worker: new (url: URL, options: { type: "module" }) => Port };

/** A worker that runs `test/fixture/<name>.ts`. */
export class TestWorker implements Disposable {
  readonly #port: Port;
  readonly #messages: unknown[] = [];
  readonly #readers: ((message: unknown) => void)[] = [];

  constructor(name: string) {
    this.#port = new globalThis.Worker(new URL(`../fixture/${name}.ts`, import.meta.url), {
      type: "module",
    });
    this.#port.onmessage = ({ data }) => this.#arrive(data);
    this.#port.onerror = (event) => {
      event.preventDefault();
      this.#arrive({ error: event.message });
    };
  }

  #arrive(message: unknown): void {
    const reader = this.#readers.shift();
    if (reader === undefined) this.#messages.push(message);
    else reader(message);
  }

  send(message: unknown): void {
    this.#port.postMessage(message);
  }

  /** The next message, in order; rejects after 10 s. */
  next<Message>(): Promise<Message> {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift() as Message);
    return new Promise<Message>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error("the worker is silent")), 10_000);
      this.#readers.push((message) => {
        clearTimeout(limit);
        resolve(message as Message);
      });
    });
  }

  /** Sends a message and waits for the answer. */
  ask<Message>(message: unknown): Promise<Message> {
    this.send(message);
    return this.next<Message>();
  }

  terminate(): void {
    this.#port.terminate();
  }

  [Symbol.dispose](): void {
    this.terminate();
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something holds, at most 5 s. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error("it never came to that");
    await sleep(1);
  }
}
