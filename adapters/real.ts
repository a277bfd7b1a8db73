/** A function that was faked, with what was there before, under `_setTimeout` and so on. */
interface Faked {
  readonly clock?: Readonly<Record<string, unknown>>;
}

/**
 * What a holder has of the runtime, also while `@sinonjs/fake-timers`, and Vitest with it, has put fake timers
 * there: with them the loop would never hear of the runtime's turns, and not when they are gone either.
 *
 * @param holder Such as `globalThis`.
 * @param name Of a function.
 * @returns The real one, if whoever faked it says what that is.
 */
export function real<Holder extends object, Name extends keyof Holder & string>(
  holder: Holder,
  name: Name,
): Holder[Name] {
  let found = holder[name];
  for (let before: unknown = found; before !== undefined;) {
    found = before as Holder[Name];
    before = (found as Faked).clock?.[`_${name}`];
  }
  return found;
}
