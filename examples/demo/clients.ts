// The clients of the echo, in a process of their own, on the runtime's plain node:net: whatever they
// see was not made by kevent. Prints what they saw as JSON.
//
// Arguments: port, seed, number of connections.

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import process from "node:process";
import { bounded } from "./processes.ts";
import { payload, Random } from "./random.ts";

/** What one connection saw. */
export interface ClientReport {
  /** Which one. */
  readonly index: number;
  /** Bytes it sent. */
  readonly sent: number;
  /** Bytes that came back. */
  readonly received: number;
  /** Whether it read slowly. */
  readonly slow: boolean;
  /** What was wrong; empty when nothing was. */
  readonly problem: string;
}

const BYTES_MAX = 3 * 2 ** 20;
const CHUNK_MAX = 100_000;
/** How much a slow reader reads before it rests. */
const SLOW_BYTES = 200_000;

const [port, seed, connections] = process.argv.slice(2).map(Number) as [number, number, number];

function talk(index: number): Promise<ClientReport> {
  const random = new Random(seed + index);
  // Small and large ones in like numbers: sizes even on a scale of powers of two.
  const length = Math.min(2 ** random.between(0, 21) + random.between(0, 2 ** 20), BYTES_MAX);
  const bytes = payload(seed ^ index, length);
  const slow = index % 3 === 0;
  let sent = 0;
  let received = 0;
  let problem = "";
  let rest = SLOW_BYTES;

  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });

    function send(): void {
      while (sent < length) {
        const size = Math.min(random.between(1, CHUNK_MAX), length - sent);
        const more = socket.write(bytes.subarray(sent, sent + size));
        sent += size;
        if (!more) return void socket.once("drain", send);
      }
      // The other direction stays open: the echo of the last bytes is still on its way.
      socket.end();
    }

    function receive(part: Uint8Array): void {
      const wanted = bytes.subarray(received, received + part.length);
      if (problem === "" && Buffer.compare(part, wanted) !== 0) {
        problem = `wrong bytes within ${part.length} from ${received} on`;
      }
      received += part.length;
      rest -= part.length;
      if (!slow || rest > 0) return;
      rest = SLOW_BYTES;
      socket.pause();
      setTimeout(() => socket.resume(), random.between(5, 30));
    }

    socket.on("connect", send);
    socket.on("data", receive);
    socket.on("error", (error) => problem ||= error.message);
    socket.on("close", () => {
      if (received !== length) problem ||= `${received} of ${length} bytes came back`;
      resolve({ index, sent, received, slow, problem });
    });
  });
}

if (import.meta.main) {
  bounded(20);
  const reports = await Promise.all(Array.from({ length: connections }, (_, index) => talk(index)));
  console.log(JSON.stringify(reports));
}
