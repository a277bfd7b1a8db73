// The descriptors of this process, as the kernel lists them.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What a descriptor is; `undefined` when it is closed. */
export function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/** All that are open, without the one that lists them. */
export function openDescriptors(): Set<string> {
  return new Set(readdirSync("/proc/self/fd").filter((fd) => linkOf(fd) !== undefined));
}

/** The flags that open(2) knows, with what a child inherits. */
export function flagsOf(fd: string): number {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  return Number.parseInt(/^flags:\s*(\d+)/m.exec(info)![1]!, 8);
}
