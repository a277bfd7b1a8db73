// What a system may deny: io_uring, by seccomp, as in Docker's default profile (epoll takes over, visibly in
// info()); and address space.
import { describe, expect, test } from "vitest";
import { fileURLToPath } from "node:url";
import { runFixture } from "./support/program.ts";

const deny = fileURLToPath(new URL("./fixture/deny.py", import.meta.url));
/** What `deny.py` ends with where the system refuses filters. */
const NO_FILTERS = 77;

function runDenied(errno: number, backend: string) {
  const through = ["python3", deny, String(errno)];
  return runFixture("denied", [], { through, env: { KEVENT_BACKEND: backend } });
}

describe("io_uring denied", () => {
  for (const [name, errno] of [["EPERM", 1], ["EACCES", 13], ["ENOSYS", 38]] as const) {
    test(`${name}: epoll takes over and says why`, async (context) => {
      const end = await runDenied(errno, "auto");
      if (end.code === NO_FILTERS) context.skip("seccomp filters are refused here");
      expect(end.errors).toBe("");
      expect(end.output).toMatch(new RegExp(`^epoll: io_uring: .*${name}.*\nfired\n$`));
    });
  }

  test("asked for by name, the refusal is an error that names it", async (context) => {
    const end = await runDenied(1, "io_uring");
    if (end.code === NO_FILTERS) context.skip("seccomp filters are refused here");
    expect(end.code).toBe(1);
    expect(end.errors).toContain("Cannot make queue: EPERM");
  });

  test("out of memory is not taken for a denial", async (context) => {
    const end = await runDenied(12, "auto");
    if (end.code === NO_FILTERS) context.skip("seccomp filters are refused here");
    expect(end.code).toBe(1);
    expect(end.errors).toContain("ENOMEM");
  });
});

describe("address space denied", () => {
  test("fifty loops fit into what a runtime leaves of 64 GB", async () => {
    const through = ["sh", "-c", 'ulimit -v 64000000 && exec "$@"', "sh"];
    const end = await runFixture("limited", [], { through });
    expect(end).toMatchObject({ code: 0, output: "50 fired\n", errors: "" });
  });
});
