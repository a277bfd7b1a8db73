import { KEVENT_TURN_ARM } from "../ffi/abi.ts";
import { Attachment } from "./attachment.ts";
import type { Drive } from "./drive.ts";
import type { Host } from "./host.ts";
import type { Queue } from "./queue.ts";
import type { Round } from "./round.ts";
import type { Turns } from "./turns.ts";

/**
 * Rounds taken in a row before the runtime gets a turn of its own. Fewer, and busy loops pay the
 * runtime's turn too often; more, and its own timers and sockets starve behind ours.
 */
const ROUNDS_MAX = 8;
/** Nanoseconds after which it gets one in any case: handles that have much to do take long rounds. */
const SPAN_NS = 1e6;

/** What it has to do with. */
interface AttendanceParts {
  readonly host: Host;
  readonly queue: Queue;
  readonly turns: Turns;
  readonly round: Round;
  readonly drive: Drive;
}

/** Whom it asks and tells. */
interface AttendanceOwner {
  /** Whether the process lives for the loop. */
  alive(): boolean;
  /** Whether it does for a handle, a timer or an immediate. */
  referenced(): boolean;
  /** The runtime gets a turn, and the loop may have come to its end. */
  paused(): void;
}

/** How an attached loop moves: what it does when the runtime calls, and when it sleeps. */
export class Attendance {
  readonly #host: Host;
  readonly #turns: Turns;
  readonly #round: Round;
  readonly #drive: Drive;
  readonly #owner: AttendanceOwner;
  readonly #attachment: Attachment;
  #closed = false;

  /**
   * @param parts What it has to do with.
   * @param owner Whom it asks and tells.
   */
  constructor({ host, queue, turns, round, drive }: AttendanceParts, owner: AttendanceOwner) {
    this.#host = host;
    this.#turns = turns;
    this.#round = round;
    this.#drive = drive;
    this.#owner = owner;
    this.#attachment = new Attachment(host, queue, {
      alive: () => owner.alive(),
      opened: () => turns.rouse(),
      settle: () => this.#settle(),
      again: () => turns.again(),
      attend: (woken) => this.#attend(woken),
      meanwhile: () => {
        if (round.running) this.#attend(false);
      },
    });
  }

  /** A change was written: it must reach the kernel before the runtime sleeps. */
  changed(): void {
    // The round that runs sees to it, unless its callback waits for just that.
    if (this.#round.running) this.meanwhile();
    else this.#attachment.soon();
  }

  /** Something wants a round. */
  later(): void {
    if (this.#round.running) this.meanwhile();
    else this.#attachment.later(this.#owner.alive());
  }

  /** The way in if a callback waits in the runtime's loop; otherwise it comes for nothing. */
  meanwhile(): void {
    this.#attachment.meanwhile(this.#turns.wokenNs);
  }

  /** Something failed, and is tried again after a while. */
  retry(): void {
    this.#attachment.retry();
  }

  /** @returns Resolves when the runtime has let go. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#attachment.close();
  }

  /** Applies changes; then either something waits and gets a round of its own, or the loop sleeps. */
  #settle(): void {
    const turns = this.#turns;
    if (this.#round.running || !this.#attachment.open() || this.#closed) return;
    if (turns.waiting === 0 && !turns.known) turns.attempt();
    this.#settled();
  }

  /** The runtime called: round after round, until one brings nothing or it is enough. */
  #attend(woken: boolean): void {
    const round = this.#round;
    if (this.#closed || !woken && round.idle) return;
    // What callbacks start is told to the kernel by the rounds: nobody else opens the way back.
    this.#attachment.open();
    // Whoever runs a round now learns from it that another one is wanted.
    this.#turns.woken();
    if (round.running && this.#host.meanwhile === undefined) return;
    round.attend(() => this.#takeRound(), ROUNDS_MAX);
    this.#settled();
  }

  /** @returns Whether another round may follow before the runtime gets a turn. */
  #takeRound(): boolean {
    const round = this.#round;
    const before = round.events;
    const { lingerNs } = this.#drive;
    if (lingerNs > 0) round.take(lingerNs, 0);
    else round.take(0, KEVENT_TURN_ARM);
    this.#drive.went(round.events > before);
    return lingerNs === 0 && !round.idle && this.#host.checkpoint !== undefined &&
      this.#turns.sinceWokenNs < SPAN_NS;
  }

  /** Goes back to the runtime: to sleep, or for one turn. */
  #settled(): void {
    this.#owner.paused();
    this.#attachment.setRef(this.#owner.referenced());
    if (!this.#round.idle && !this.#closed) this.#attachment.later(this.#owner.alive());
  }
}
