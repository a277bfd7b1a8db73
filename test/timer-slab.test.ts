// The slab below all timers, alone: where its numbers end, and against a list that is sorted.
import { describe, expect, test } from "vitest";
import { OTHERS_START, TimerSlab } from "../loop/slab.ts";

/** Sequence numbers go round here. */
const WRAP = 2 ** 31 - 1;

function opened(slab: TimerSlab<string>, item: string, deadline: number): number {
  const slot = slab.open(item, 0);
  slab.schedule(slot, deadline, deadline);
  return slot;
}

/** Takes out all that is due now and was scheduled before. */
function due(slab: TimerSlab<string>, now: number): string[] {
  const pass = slab.sequence;
  const items: string[] = [];
  for (let slot = slab.takeDue(now, pass); slot >= 0; slot = slab.takeDue(now, pass)) {
    items.push(slab.itemOf(slot));
    slab.free(slot);
  }
  return items;
}

describe("TimerSlab", () => {
  test("no id is a number of others, however often a slot was used", () => {
    for (const generation of [1, 60, 2 ** 28]) {
      const slab = new TimerSlab<string>({ generation });
      const ids = new Set<number>();
      for (let count = 0; count < 200; count++) {
        const slot = slab.open("item", 0);
        const id = slab.idOf(slot);
        expect(id < OTHERS_START || id >= 2 ** 41, `${id}`).toBe(true);
        expect(slab.slotOf(id)).toBe(slot);
        ids.add(id);
        slab.free(slot);
      }
      expect(ids.size).toBe(200);
    }
  });

  test("the last slots are used again, however few are free", () => {
    const slab = new TimerSlab<string>({ slots: 256 });
    const slots = Array.from({ length: 256 }, (_, index) => slab.open(`${index}`, 0));
    expect(() => slab.open("one too many", 0)).toThrow("256 timers are pending; clear some");
    for (const slot of [7, 200]) {
      slab.free(slots[slot]!);
      expect(slab.open("again", 0)).toBe(slot);
    }
    expect(slab.count).toBe(256);
    expect(() => slab.open("one too many", 0)).toThrow("ENOMEM");
  });

  test("a slot is freed once", () => {
    const slab = new TimerSlab<string>();
    const slot = slab.open("item", 0);
    slab.free(slot);
    expect(() => slab.free(slot)).toThrow("freed already");
    expect(slab.count).toBe(0);
  });

  test("a timer that is older than 2^31 others fires, and holds up none", () => {
    const old = 5;
    const slab = new TimerSlab<string>({ sequence: old });
    opened(slab, "old", 1000);
    // As if so many had come and gone.
    for (const since of [2 ** 31 - 10, 2 ** 31, 2 ** 31 + 10, 2 ** 32 - 10]) {
      slab.sequence += since;
      opened(slab, "young", 2000);
      expect(due(slab, 1500), `${since} later`).toEqual(["old"]);
      expect(due(slab, 3000), `${since} later`).toEqual(["young"]);
      opened(slab, "old", 1000);
    }
  });

  test("equal deadlines go by the order of their start where the numbers go round", () => {
    for (let start = WRAP - 6; start <= WRAP; start++) {
      const slab = new TimerSlab<string>({ sequence: start });
      const names = Array.from({ length: 10 }, (_, index) => `${index}`);
      // Half of them alone, half in chains.
      names.forEach((name, index) => {
        const slot = slab.open(name, 0);
        slab.schedule(slot, 1000, index % 2 === 0 ? 1000 : 1000 + 4096e6 * index);
      });
      expect(due(slab, 1000)).toEqual(names);
    }
  });

  test("what a callback starts waits for the next pass where the numbers go round", () => {
    for (let start = WRAP - 3; start <= WRAP + 1; start++) {
      const slab = new TimerSlab<string>({ sequence: start | 0 });
      opened(slab, "first", 10);
      const pass = slab.sequence;
      expect(slab.itemOf(slab.takeDue(10, pass))).toBe("first");
      opened(slab, "second", 0);
      expect(slab.takeDue(10, pass)).toBe(-1);
      expect(due(slab, 10)).toEqual(["second"]);
    }
  });
});
