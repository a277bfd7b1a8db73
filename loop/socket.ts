import {
  KEVENT_REQ_ET,
  KEVENT_REQ_ONESHOT,
  KEVENT_SOCKET,
  KEVENT_SOCKET_ACCEPT,
  KEVENT_SOCKET_ERROR,
  KEVENT_SOCKET_HANG_UP,
  KEVENT_SOCKET_RECV,
  KEVENT_SOCKET_SEND,
  KEVENT_TIMER,
  KEVENT_TIMER_FIRED,
} from "../ffi/abi.ts";
import {
  check,
  checkFunction,
  checkWhole,
  errorNumber,
  KeventError,
  shown,
} from "../ffi/errors.ts";
import type { Bytes, Calls } from "../ffi/library.ts";
import { EVENT, RET_DATA, TYPE } from "../ffi/record.ts";
import { bind } from "./host.ts";
import { Watcher } from "./watcher.ts";
import type { Loop } from "./loop.ts";

/** Connections taken in a row before other handles get their turn. */
const ACCEPTS_MAX = 64;
/** Reads in a row of one connection before other handles get their turn. */
const READS_MAX = 4;
/** Bytes of one read. */
const READ_BYTES = 65536;
/** Connections that wait in the kernel. */
const BACKLOG_DEFAULT = 511;

/**
 * Without a free descriptor or memory a connection cannot be taken, and waits in the kernel. Asked at
 * once again, the answer would be the same at full CPU; after this long something may be free.
 */
const ACCEPT_PAUSE_NS = 100e6;

const EINVAL = -errorNumber("EINVAL");
const EAGAIN = -errorNumber("EAGAIN");
/** The peer gave up while it waited to be accepted. */
const ECONNABORTED = -errorNumber("ECONNABORTED");
/** Both are reported unasked, so a mask of these alone asks for nothing. */
const QUIET = KEVENT_SOCKET_HANG_UP | KEVENT_SOCKET_ERROR;

const encoder = new TextEncoder();
/** Where all reads go. Its bytes belong to the callback until it returns. */
let incoming: Bytes = new Uint8Array(new ArrayBuffer(READ_BYTES));

/** The address in digits, in bytes. */
function addressOf(hostname: string, operation: string): Bytes {
  if (typeof hostname === "string") return encoder.encode(hostname);
  throw badAddress(hostname, operation);
}

function badAddress(hostname: unknown, operation: string): KeventError {
  const detail = `hostname must be an IP address such as "127.0.0.1", not ${shown(hostname)}: ` +
    "resolve a name first, for example with lookup of node:dns/promises";
  return new KeventError(operation, "argument", "EINVAL", detail);
}

/** Port and all else were checked before. */
function checkSocket(fd: number, hostname: string, operation: string, syscall: string): number {
  if (fd === EINVAL) throw badAddress(hostname, operation);
  return check(fd, operation, syscall);
}

function noBytes(bytes: unknown): KeventError {
  const detail = typeof bytes === "string"
    ? "bytes must be a Uint8Array, not a string: give new TextEncoder().encode(text)"
    : `bytes must be a Uint8Array, not ${shown(bytes)}`;
  return new KeventError("write", "argument", "EINVAL", detail);
}

/** What can be called, by name. */
const HANDLERS = ["open", "data", "drain", "end", "close"] as const;

function checkHandlers(handlers: ConnectionHandlers): void {
  if (typeof handlers !== "object" || handlers === null) {
    const detail = `handlers must be an object such as { data() {} }, not ${shown(handlers)}`;
    throw new KeventError("set handlers", "argument", "EINVAL", detail);
  }
  for (const name of HANDLERS) {
    if (handlers[name] !== undefined) checkFunction(handlers[name], "set handlers", name);
  }
}

/** Where a server listens. */
export interface ListenOptions {
  /** An IPv4 or IPv6 address. Default `"127.0.0.1"`. */
  readonly hostname?: string;
  /** The port; 0 for a free one. Default 0. */
  readonly port?: number;
  /** Connections that may wait to be accepted. Default 511. */
  readonly backlog?: number;
}

/** What a connection calls. */
export interface ConnectionHandlers {
  /** It is connected. Only called for outgoing ones. */
  open?(connection: Connection): void;
  /** Bytes came. They are good until the call returns; keep a copy. */
  data?(connection: Connection, bytes: Bytes): void;
  /** All that `write` could not send at once was sent. */
  drain?(connection: Connection): void;
  /** The peer sends no more. Without this handler the connection is ended too. */
  end?(connection: Connection): void;
  /** It is closed; with an error unless both sides ended it. */
  close?(connection: Connection, error: KeventError | undefined): void;
}

/**
 * A TCP server: tcp(7), S0-2.
 *
 * @example An echo
 * ```ts
 * import { Connection, Loop, Server } from "../adapters/mod.ts";
 *
 * using loop = new Loop();
 * const server = new Server(loop);
 * server.listen({}, () => ({ data: (connection, bytes) => void connection.write(bytes) }));
 * const echo = await new Promise<string>((resolve) => {
 *   Connection.connect(loop, "127.0.0.1", server.port, {
 *     open: (connection) => void connection.write(new TextEncoder().encode("hello")),
 *     data: (_connection, bytes) => resolve(new TextDecoder().decode(bytes)),
 *   });
 * });
 * if (echo !== "hello") throw new Error(echo);
 * ```
 */
export class Server extends Watcher {
  readonly #calls: Calls;
  #fd = -1;
  #port = 0;
  #accept: (connection: Connection) => void = () => {};

  /** @param loop The loop it belongs to. */
  constructor(loop: Loop) {
    super(loop);
    this.#calls = loop.library.calls;
  }

  /** The port it listens on; 0 when it does not. */
  get port(): number {
    return this.#port;
  }

  /**
   * Starts to listen: listen(2).
   *
   * @param options Where.
   * @param accept Called with each new connection; returns its handlers.
   * @returns This handle. When connections cannot be taken, such as for want of descriptors (EMFILE),
   * `onError` is told, they wait, and 100 ms later it goes on.
   * @throws {KeventError} EADDRINUSE, EACCES and others of the system; EINVAL for a bad address, port or
   * `accept`.
   */
  listen(options: ListenOptions, accept: (connection: Connection) => ConnectionHandlers): this {
    const { hostname = "127.0.0.1", port = 0, backlog = BACKLOG_DEFAULT } = options;
    const { slot } = this;
    // Before there is a socket, which nobody would close.
    this.loop.checkOpen("listen");
    checkWhole(port, 0, 65535, "listen", "port");
    checkWhole(backlog, 1, 0x7fffffff, "listen", "backlog");
    checkFunction(accept, "listen", "accept");
    const operation = `listen at ${hostname}:${port}`;
    const address = addressOf(hostname, operation);
    this.stop();
    const fd = this.#calls.kevent_sock_listen(address, address.length, port, backlog);
    this.#fd = checkSocket(fd, hostname, operation, "kevent_sock_listen");
    this.#port = check(this.#calls.kevent_sock_port(fd), operation, "kevent_sock_port");
    // What it returns is tied to the same async context.
    const handled = (connection: Connection): void => void connection.handle(accept(connection));
    this.#accept = bind(this.loop.host, handled, "listen");
    this.loop.add(slot, KEVENT_SOCKET, fd, 0, KEVENT_SOCKET_ACCEPT, 0);
    this.setActive(true);
    return this;
  }

  /** Stops listening. The port is free when the call returns; connections stay open. */
  override stop(): void {
    if (this.#fd < 0) return;
    this.loop.remove(this.slot, KEVENT_SOCKET, this.#fd, 0);
    this.loop.apply();
    this.letGo();
  }

  /** Closes the socket, which nobody watches any more. */
  override letGo(): void {
    if (this.#fd < 0) return;
    this.#calls.kevent_sock_close(this.#fd);
    this.#fd = -1;
    this.#port = 0;
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    if (words[at + TYPE] === KEVENT_TIMER) this.#watch(KEVENT_SOCKET_ACCEPT);
    else this.#acceptSome();
  }

  #acceptSome(): void {
    for (let count = 0; count < ACCEPTS_MAX && this.#fd >= 0; count++) {
      const fd = this.#calls.kevent_sock_accept(this.#fd);
      if (fd === EAGAIN) return;
      if (fd === ECONNABORTED) continue;
      if (fd < 0) return this.#pause(KeventError.of("accept connection", "kevent_sock_accept", fd));
      this.#accept(new Connection(this.loop, fd, false));
    }
  }

  /** Lets connections wait in the kernel for a while, and tells why. */
  #pause(error: KeventError): void {
    this.#watch(QUIET);
    const { slot, loop } = this;
    loop.add(slot, KEVENT_TIMER, 0, ACCEPT_PAUSE_NS, KEVENT_TIMER_FIRED, KEVENT_REQ_ONESHOT);
    this.tellError(error);
  }

  #watch(kinds: number): void {
    if (this.#fd >= 0) this.loop.modify(this.slot, KEVENT_SOCKET, this.#fd, 0, kinds, 0);
  }
}

/**
 * A TCP connection: tcp(7), S0-3, S0-4. What `write` takes is sent, in order and in full, or `close` gets
 * an error.
 */
export class Connection extends Watcher {
  readonly #calls: Calls;
  #handlers: { [Name in keyof ConnectionHandlers]: ConnectionHandlers[Name] | undefined } = {};
  #fd: number;
  #connecting: boolean;
  #reading = true;
  #paused = false;
  // Chunks the kernel had no room for; the first from `#sent` on.
  #unsent: Bytes[] = [];
  #sent = 0;
  #buffered = 0;
  #ending = false;
  #interest = 0;

  /**
   * Adopts a connected socket; `Server` and `connect` do it.
   *
   * @param loop The loop it belongs to.
   * @param fd A non-blocking stream socket; closed together with the handle.
   * @param connecting Whether the connection is still being made.
   */
  constructor(loop: Loop, fd: number, connecting: boolean) {
    super(loop);
    this.#calls = loop.library.calls;
    this.#fd = fd;
    this.#connecting = connecting;
    this.#interest = connecting ? KEVENT_SOCKET_SEND | QUIET : KEVENT_SOCKET_RECV | QUIET;
    loop.add(this.slot, KEVENT_SOCKET, fd, 0, this.#interest, 0);
    this.setActive(true);
  }

  /**
   * Connects to a server: connect(2).
   *
   * @param loop The loop it belongs to.
   * @param hostname An IPv4 or IPv6 address.
   * @param port The port.
   * @param handlers What to call.
   * @returns The connection, not open yet.
   * @throws {KeventError} EINVAL for a bad address, port or handler, and others of the system.
   */
  static connect(
    loop: Loop,
    hostname: string,
    port: number,
    handlers: ConnectionHandlers,
  ): Connection {
    checkWhole(port, 1, 65535, "connect", "port");
    loop.checkOpen("connect");
    checkHandlers(handlers);
    const operation = `connect to ${hostname}:${port}`;
    const address = addressOf(hostname, operation);
    const fd = loop.library.calls.kevent_sock_connect(address, address.length, port);
    checkSocket(fd, hostname, operation, "kevent_sock_connect");
    return new Connection(loop, fd, true).handle(handlers);
  }

  /** Bytes taken by `write` and not sent yet. */
  get buffered(): number {
    return this.#buffered;
  }

  /**
   * Sets what to call, with the async context of this moment.
   *
   * @param handlers The handlers: also an object of a class that has such methods.
   * @returns This handle.
   * @throws {KeventError} EINVAL when they are no object, or one of them is no function.
   */
  handle(handlers: ConnectionHandlers): this {
    checkHandlers(handlers);
    this.#handlers = {
      open: this.#bound(handlers, handlers.open),
      data: this.#bound(handlers, handlers.data),
      drain: this.#bound(handlers, handlers.drain),
      end: this.#bound(handlers, handlers.end),
      close: this.#bound(handlers, handlers.close),
    };
    return this;
  }

  #bound<Rest extends unknown[]>(
    handlers: ConnectionHandlers,
    handler: ((connection: Connection, ...rest: Rest) => void) | undefined,
  ): ((connection: Connection, ...rest: Rest) => void) | undefined {
    return handler && bind(this.loop.host, handler.bind(handlers), "set handlers");
  }

  /**
   * Sends bytes, as send(2) does: now what the kernel takes, the rest (a copy) when it has room again.
   *
   * @param bytes What to send.
   * @returns Whether all were sent at once; if not, wait for `drain` before sending more.
   * @throws {KeventError} EPIPE after `end` or `close`, EINVAL for what is no `Uint8Array`.
   */
  write(bytes: Bytes): boolean {
    if (!(bytes instanceof Uint8Array)) throw noBytes(bytes);
    if (this.#fd < 0 || this.#ending) {
      throw new KeventError("write", "kevent_sock_write", "EPIPE", "the connection was ended");
    }
    const sent = this.#buffered > 0 || this.#connecting ? 0 : this.#send(bytes, 0);
    if (sent < 0) return false;
    if (sent === bytes.length) return true;
    // Not `bytes.slice`: that of a Buffer copies nothing.
    this.#unsent.push(Uint8Array.prototype.slice.call(bytes, sent));
    this.#buffered += bytes.length - sent;
    this.#watch();
    return false;
  }

  /** Sends no more once all is sent; the peer sees the end. */
  end(): void {
    if (this.#ending || this.#fd < 0) return;
    this.#ending = true;
    this.#shutWhenSent();
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#watch();
  }

  /** Reads again. */
  resume(): void {
    this.#paused = false;
    this.#watch();
  }

  /** Closes it at once; what was not sent is lost. */
  override stop(): void {
    this.#finish(undefined);
  }

  /** Closes the socket, which nobody watches any more; `close` is not called. */
  override letGo(): void {
    if (this.#fd < 0) return;
    this.#calls.kevent_sock_close(this.#fd);
    this.#fd = -1;
    this.#unsent = [];
    this.#buffered = 0;
    this.setActive(false);
  }

  protected override onRecord(words: Uint32Array, at: number): void {
    const event = words[at + EVENT]!;
    if ((event & KEVENT_SOCKET_ERROR) !== 0 && words[at + RET_DATA] !== 0) {
      const operation = this.#connecting ? "connect" : "use connection";
      this.#finish(KeventError.of(operation, "kevent_sock_connect", words[at + RET_DATA]!));
      return;
    }
    if (this.#connecting) this.#opened();
    if ((event & KEVENT_SOCKET_SEND) !== 0) this.#flush();
    // After a hang-up there may still be bytes, and then the end.
    if ((event & (KEVENT_SOCKET_RECV | KEVENT_SOCKET_HANG_UP)) !== 0) this.#read();
    if ((event & KEVENT_SOCKET_HANG_UP) !== 0 && !this.#reading) this.#finish(undefined);
  }

  #opened(): void {
    this.#connecting = false;
    this.#watch();
    this.#handlers.open?.(this);
    // It may have been ended before it began.
    this.#shutWhenSent();
  }

  #read(): void {
    for (let count = 0; count < READS_MAX && this.#wantsToRead(); count++) {
      // A callback may have given it away, with `postMessage` for example.
      if (incoming.length === 0) incoming = new Uint8Array(new ArrayBuffer(READ_BYTES));
      const length = this.#calls.kevent_sock_read(this.#fd, incoming, 0, READ_BYTES);
      if (length === EAGAIN) return;
      if (length < 0) return this.#finish(KeventError.of("read", "kevent_sock_read", length));
      if (length === 0) return this.#peerEnded();
      this.#handlers.data?.(this, incoming.subarray(0, length));
      // Less than asked for: nothing is left, so the next call would only say so.
      if (length < READ_BYTES) return;
    }
  }

  #wantsToRead(): boolean {
    return this.#fd >= 0 && this.#reading && !this.#paused;
  }

  #peerEnded(): void {
    this.#reading = false;
    this.#watch();
    if (this.#handlers.end === undefined) this.end();
    else this.#handlers.end(this);
    this.#closeWhenOver();
  }

  #flush(): void {
    if (this.#buffered === 0) return;
    while (this.#buffered > 0) {
      const chunk = this.#unsent[0]!;
      const sent = this.#send(chunk, this.#sent);
      if (sent < 0) return;
      this.#sent += sent;
      this.#buffered -= sent;
      if (this.#sent < chunk.length) return;
      this.#unsent.shift();
      this.#sent = 0;
    }
    this.#watch();
    this.#shutWhenSent();
    if (this.#fd >= 0) this.#handlers.drain?.(this);
  }

  /** @returns Bytes the kernel took; -1 after an error, which closed the connection. */
  #send(bytes: Bytes, offset: number): number {
    let taken = offset;
    while (taken < bytes.length) {
      const length = bytes.length - taken;
      const sent = this.#calls.kevent_sock_write(this.#fd, bytes, taken, length);
      if (sent === EAGAIN) break;
      if (sent < 0) {
        this.#finish(KeventError.of("write", "kevent_sock_write", sent));
        return -1;
      }
      taken += sent;
    }
    return taken - offset;
  }

  #shutWhenSent(): void {
    if (!this.#ending || this.#buffered > 0 || this.#connecting || this.#fd < 0) return;
    this.#calls.kevent_sock_shutdown(this.#fd);
    this.#closeWhenOver();
  }

  #closeWhenOver(): void {
    if (this.#ending && this.#buffered === 0 && !this.#reading) this.#finish(undefined);
  }

  /** Asks for what is of use now: a level that nobody serves would be reported for ever. */
  #watch(): void {
    if (this.#fd < 0) return;
    const interest = QUIET |
      (this.#wantsToRead() && !this.#connecting ? KEVENT_SOCKET_RECV : 0) |
      (this.#buffered > 0 || this.#connecting ? KEVENT_SOCKET_SEND : 0);
    if (interest === this.#interest) return;
    this.#interest = interest;
    // A hang-up cannot be masked, and lasts: while nobody reads it is told once.
    const flags = interest === QUIET ? KEVENT_REQ_ET : 0;
    this.loop.modify(this.slot, KEVENT_SOCKET, this.#fd, 0, interest, flags);
  }

  #finish(error: KeventError | undefined): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this.#unsent = [];
    this.#buffered = 0;
    this.loop.remove(this.slot, KEVENT_SOCKET, fd, 0);
    this.loop.afterApply(() => void this.#calls.kevent_sock_close(fd));
    this.setActive(false);
    this.close();
    this.#handlers.close?.(this, error);
  }
}
