// The C library, for what tests need and scripts lack: pipes, socket pairs, raw sockets, memfds.

/** Our own table: an `i32` result is enough for what the tests pass. */
const table = {
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  alarm: { parameters: ["u32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  getpid: { parameters: [], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const;

type Argument = number | Uint8Array;
type Libc = { readonly [Name in keyof typeof table]: (...list: Argument[]) => number };

async function open(): Promise<Libc> {
  if ("Deno" in globalThis) {
    return Deno.dlopen("libc.so.6", table).symbols as unknown as Libc;
  }
  const { dlopen } = await import("bun:ffi");
  const symbols = Object.fromEntries(
    Object.entries(table).map(([name, { parameters, result }]) => [
      name,
      { args: parameters, returns: result },
    ]),
  );
  return dlopen("libc.so.6", symbols as Parameters<typeof dlopen>[1]).symbols as unknown as Libc;
}

export const libc: Libc = await open();

const NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;

/** Memory at an address that does not move. */
export function bytes(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** A zero-terminated string. */
export function text(value: string): Uint8Array {
  const encoded = new TextEncoder().encode(`${value}\0`);
  const memory = bytes(encoded.length);
  memory.set(encoded);
  return memory;
}

function pair(make: (out: Uint8Array) => number): [number, number] {
  const out = new Int32Array(new ArrayBuffer(8));
  if (make(new Uint8Array(out.buffer)) !== 0) throw new Error("no descriptors");
  return [out[0]!, out[1]!];
}

/** Descriptors that close with the scope. */
export class Descriptors implements Disposable {
  readonly list: number[];

  constructor(...list: number[]) {
    this.list = list;
  }

  /** The first: reads, in a pipe. */
  get a(): number {
    return this.list[0]!;
  }

  /** The second: writes, in a pipe. */
  get b(): number {
    return this.list[1]!;
  }

  /** Closes the first now: the second takes its place. */
  closeA(): void {
    libc.close(this.list.shift()!);
  }

  /** Closes the second now. */
  closeB(): void {
    libc.close(this.list.pop()!);
  }

  [Symbol.dispose](): void {
    for (const fd of this.list) libc.close(fd);
  }
}

export function pipe(): Descriptors {
  return new Descriptors(...pair((out) => libc.pipe2(out, NONBLOCK | CLOEXEC)));
}

/** A pipe as a child expects it for its standard streams. */
export function blockingPipe(): Descriptors {
  return new Descriptors(...pair((out) => libc.pipe2(out, CLOEXEC)));
}

export function socketPair(): Descriptors {
  return new Descriptors(...pair((out) => libc.socketpair(1, 1 | NONBLOCK | CLOEXEC, 0, out)));
}

/** A UDP socket on a free port. */
export function datagramSocket(): number {
  const fd = libc.socket(2, 2 | NONBLOCK | CLOEXEC, 0);
  const address = bytes(16);
  address[0] = 2;
  if (libc.bind(fd, address, 16) !== 0) throw new Error("no datagram socket");
  return fd;
}

/** A listening Unix socket, with a name that the kernel finds. */
export function unixListener(): number {
  const fd = libc.socket(1, 1 | NONBLOCK | CLOEXEC, 0);
  const family = bytes(2);
  family[0] = 1;
  if (libc.bind(fd, family, 2) + libc.listen(fd, 16) !== 0) throw new Error("no Unix socket");
  return fd;
}

export function eventFd(): Descriptors {
  return new Descriptors(libc.eventfd(0, NONBLOCK | CLOEXEC));
}

/** A listening TCP socket on a free port of 127.0.0.1. */
export function listener(): { fds: Descriptors; address: Uint8Array } {
  const fd = libc.socket(2, 1 | NONBLOCK | CLOEXEC, 0);
  libc.listen(fd, 16);
  const address = bytes(16);
  const length = bytes(4);
  length[0] = 16;
  libc.getsockname(fd, address, length);
  address.set([127, 0, 0, 1], 4);
  return { fds: new Descriptors(fd), address };
}

/** A TCP connection to a listener, blocking while it is made. */
export function connectTo(address: Uint8Array): number {
  const fd = libc.socket(2, 1 | CLOEXEC, 0);
  if (libc.connect(fd, address, 16) !== 0) throw new Error("not connected");
  return fd;
}

/** A TCP socket that connects to nobody. */
export function streamSocket(): number {
  return libc.socket(2, 1 | NONBLOCK | CLOEXEC, 0);
}

/** The next connection of a listener. */
export function accept(listening: number): number {
  return libc.accept4(listening, bytes(16), bytes(4), NONBLOCK | CLOEXEC);
}

export function write(fd: number, length = 1): number {
  return libc.write(fd, bytes(length), length);
}

export function read(fd: number, length = 65536): number {
  return libc.read(fd, bytes(length), length);
}

/** What can be read at once: `""` at the end, `undefined` when nothing is there. */
export function readText(fd: number, length = 65536): string | undefined {
  const memory = bytes(length);
  const got = libc.read(fd, memory, length);
  return got < 0 ? undefined : new TextDecoder().decode(memory.subarray(0, got));
}

/** Makes an eventfd readable. */
export function signalEvent(fd: number): void {
  const one = bytes(8);
  one[0] = 1;
  libc.write(fd, one, 8);
}

/** What poll(2) says about a descriptor, within so many milliseconds: 0 when nothing. */
export function pollNow(fd: number, events = 1, timeoutMs = 0): number {
  const memory = bytes(8);
  const view = new DataView(memory.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  libc.poll(memory, 1, timeoutMs);
  return view.getInt16(6, true);
}

/** Blocks until a descriptor is readable; whether it was within so many milliseconds. */
export function readableWithin(fd: number, ms: number): boolean {
  return (pollNow(fd, 1, ms) & 1) !== 0;
}

/** A pid that nobody has, from the highest one down. */
export function absentPid(): number {
  let pid = (1 << 22) - 1;
  while (libc.kill(pid, 0) === 0) pid--;
  return pid;
}
