// What `class` makes differs from what the runtimes have in flags and names only.

/** How methods look from outside. */
export interface Look {
  /** Whether `for in` meets those with plain names. */
  readonly enumerable: boolean;
  /** Whether those can be deleted or defined anew. */
  readonly configurable: boolean;
  /** Whether functions have no names. */
  readonly nameless: boolean;
}

/** Called by the loop; no program has a use for them. */
const HIDDEN = ["constructor", "onTimer", "onImmediate"];

/**
 * Gives the methods and accessors of a class the look of the runtime's.
 *
 * @param prototype Of the class.
 * @param order Names in the order of the runtime's; others stay as they are.
 * @param look What they look like.
 */
export function dress(prototype: object, order: readonly PropertyKey[], look: Look): void {
  const { enumerable, configurable, nameless } = look;
  const before = Object.getOwnPropertyDescriptors(prototype) as Record<
    PropertyKey,
    PropertyDescriptor
  >;
  for (const key of order) delete (prototype as Record<PropertyKey, unknown>)[key];
  for (const key of order) {
    const property = before[key]!;
    const plain = typeof key === "string" && !HIDDEN.includes(key);
    if (typeof property.value === "function" && key !== "constructor" && (nameless || !plain)) {
      Object.defineProperty(property.value, "name", { value: "", configurable: true });
    }
    Object.defineProperty(
      prototype,
      key,
      plain || nameless && key !== "constructor"
        ? { ...property, enumerable, configurable }
        : { ...property, enumerable: false },
    );
  }
}
