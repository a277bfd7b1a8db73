/** A handle's place in the loop: `user[0]` of its registrations. */
export interface Slot {
  /** Index of the slot. */
  readonly index: number;
  /** `user[1]` of its registrations; changes with each `renew`, and what is older is dropped. */
  generation: number;
}

/** Who has a slot: its events and errors go there. */
export interface Tenant {
  /**
   * An event came.
   *
   * @param words Memory of the record, valid until somebody's callback is called.
   * @param at Index of its first word.
   */
  onRecord(words: Uint32Array, at: number): void;
  /** The kernel refused a change. */
  onError(error: Error): void;
}

/** Which handle the events of a queue go to, by slot and generation. */
export class Slots {
  readonly #slots: Slot[] = [];
  readonly #tenants: (Tenant | undefined)[] = [];
  readonly #free: number[] = [];

  /**
   * Opens a place.
   *
   * @param tenant Who gets its events.
   * @returns The slot.
   */
  open(tenant: Tenant): Slot {
    const index = this.#free.pop() ?? this.#slots.length;
    // The generation goes on where the last tenant stopped: its late events must not match. It starts
    // anywhere, because the name of a trigger may outlive its loop and find another in its place.
    const slot = this.#slots[index] ?? { index, generation: Math.random() * 0x1_0000_0000 >>> 0 };
    this.#slots[index] = slot;
    this.renew(slot);
    this.#tenants[index] = tenant;
    return slot;
  }

  /** Starts a new generation: events of older registrations are dropped. */
  renew(slot: Slot): void {
    slot.generation = (slot.generation + 1) >>> 0;
  }

  /** Gives a place back. Its registrations must have been removed. */
  free(slot: Slot): void {
    if (this.#tenants[slot.index] === undefined) return;
    this.renew(slot);
    this.#tenants[slot.index] = undefined;
    this.#free.push(slot.index);
  }

  /** @returns Whose the events of a generation are; `undefined` when it is over. */
  tenant(index: number, generation: number): Tenant | undefined {
    return this.#slots[index]?.generation === generation ? this.#tenants[index] : undefined;
  }
}
