// The slab below all timers, alone: where its numbers end, and against a list that is sorted.
import { describe, expect, test } from "vitest";
import { Random } from "../examples/demo/random.ts";
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

  test("slots that are free stay so when memory grows, and are used again", () => {
    const slab = new TimerSlab<string>({ slots: 1024 });
    for (let count = 0; count < 256; count++) slab.open("first", 0);
    const free = [3, 100, 255];
    for (const slot of free) slab.free(slot);
    // Too few are free to look for them.
    expect(slab.open("grows", 0)).toBe(256);
    for (const slot of free) expect(() => slab.free(slot)).toThrow("freed already");
    const rest = Array.from({ length: 1024 - 254 }, () => slab.open("rest", 0));
    expect(free.every((slot) => rest.includes(slot))).toBe(true);
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

  test.each([
    ["in a chain", 0],
    ["alone", 1],
  ])("deadlines that come nearer and nearer leave nothing behind: a timer %s", (_, others) => {
    const slab = new TimerSlab<string>();
    for (let count = 0; count < others; count++) opened(slab, "before", 1);
    for (let deadline = 900_000; deadline > 800_000; deadline--) {
      slab.free(opened(slab, "nearer", deadline));
      expect(slab.entries).toBeLessThan(200);
    }
    expect(slab.count).toBe(others);
  });

  test("what fires is found by slot and by look, however many there are", () => {
    const slab = new TimerSlab<string>();
    const slots = Array.from({ length: 10_000 }, (_, index) => slab.open(`${index}`, 0));
    expect(slots.every((slot, index) => slab.itemOf(slot) === `${index}`)).toBe(true);
    for (const slot of slots.slice(0, 5000)) slab.free(slot);
    const isLate = (item: string): item is string => Number(item) >= 4000;
    expect(slab.find(isLate)).toBe("5000");
    slab.clear();
    expect([slab.find(isLate), slab.count]).toEqual([undefined, 0]);
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

  test("a slot that has used up its generations is not used again", () => {
    const slab = new TimerSlab<string>({ generation: 2 ** 29 - 2, slots: 256 });
    const slots = Array.from({ length: 256 }, () => slab.open("item", 0));
    slab.free(slots[9]!);
    expect(slab.open("last of its kind", 0)).toBe(9);
    const id = slab.idOf(9);
    expect([Number.isSafeInteger(id), slab.slotOf(id)]).toEqual([true, 9]);
    slab.free(9);
    expect(slab.slotOf(id)).toBe(-1);
    expect(() => slab.free(9)).toThrow("freed already");
    expect(() => slab.open("one too many", 0)).toThrow("ENOMEM");
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])(
    "random timers are as in a list that is sorted (%i)",
    (seed) => {
      const random = new Random(seed);
      const slab = new TimerSlab<number>({ sequence: WRAP - 2000, generation: 50 + seed });
      const waiting = new Map<number, { slot: number; deadline: number; order: number }>();
      const idle: number[] = [];
      let order = 0;
      let now = 0;
      // Much comes, then much is taken out, so that memory grows, and the heap is made anew.
      for (let step = 0; step < 20_000; step++) {
        const kind = random.between(0, 9);
        const adds = Math.floor(step / 4000) % 2 === 0 ? 7 : 2;
        if (kind < adds) {
          const item = step;
          const slot = slab.open(item, 0);
          // Whole milliseconds, odd ones, and those that share a chain.
          const duration = [1e6, 4097e6, random.between(0, 1e7)][random.between(0, 2)]!;
          const deadline = now + random.between(0, 3) * duration;
          slab.schedule(slot, deadline, duration);
          waiting.set(item, { slot, deadline, order: order++ });
        } else if (kind < 9) {
          const [item] = [...waiting.keys()].slice(random.between(0, 20));
          if (item === undefined) continue;
          const { slot } = waiting.get(item)!;
          waiting.delete(item);
          if (random.between(0, 1) === 0) slab.free(slot);
          else idle.push((slab.unschedule(slot), slot));
        } else {
          now += random.between(0, 2e5);
          const expected = [...waiting].filter(([, { deadline }]) => deadline <= now)
            .sort(([, a], [, b]) => a.deadline - b.deadline || a.order - b.order)
            .map(([item]) => item);
          const pass = slab.sequence;
          for (const item of expected) {
            const slot = slab.takeDue(now, pass);
            expect(slot < 0 ? "none" : slab.itemOf(slot)).toBe(item);
            slab.free(slot);
            waiting.delete(item);
          }
          expect(slab.takeDue(now, pass)).toBe(-1);
        }
      }
      for (const slot of idle) slab.free(slot);
      expect(slab.count).toBe(waiting.size);
      const firsts = [...waiting.values()].map(({ deadline }) => deadline);
      expect(slab.firstDeadline()).toBe(Math.min(...firsts));
      slab.shift(5);
      expect(slab.firstDeadline()).toBe(Math.min(...firsts) + 5);
      slab.clear();
      expect([slab.count, slab.firstDeadline()]).toEqual([0, Infinity]);
    },
  );

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
