// Rows S1-* of the checklist: "[RFC 0/4]". Its lists, commands and ways to wait are tested in
// zig/queue_test.zig and zig/wait_test.zig, its comparison with epoll is bench/readiness.mjs.
import { describe, expect, test } from "vitest";
import { info } from "../../adapters/mod.ts";

describe("S1", () => {
  test("S1-8 the sources of the first description are there, all but network AIO", () => {
    expect(info().sources).toEqual(expect.arrayContaining(["socket", "inode", "poll", "timer"]));
  });
});
