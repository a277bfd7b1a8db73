// The clients of the echo, in a process of their own, on the runtime's plain node:net: whatever they
// see was not made by kevent. Prints what they saw as JSON.
//
// Arguments: port, seed, number of connections.

import { Buffer } from "node:buffer";
import { connect } from "node:net";
import process from "node:process";
import { bounded } from "./processes.ts";
import { payload, Random } from "./random.ts";

/** How a client behaves: sends all it has, does so but reads slowly, or waits for each answer. */
export type Kind = "bulk" | "slow" | "chat";

/** What one connection saw. */
export interface ClientReport {
  /** Which one. */
  readonly index: number;
  /** How it behaved. */
  readonly kind: Kind;
  /** Bytes it sent. */
  readonly sent: number;
  /** Bytes that came back. */
  readonly received: number;
  /** Milliseconds from each message to its whole answer; empty unless it chats. */
  readonly trips_ms: readonly number[];
  /** What was wrong; empty when nothing was. */
  readonly problem: string;
}

const KINDS: readonly Kind[] = ["bulk", "slow", "chat", "chat"];
const MESSAGES = 150;
const MESSAGE_MAX = 2_000;
const CHUNK_MAX = 100_000;
/** How much a slow reader reads before it rests. */
const SLOW_BYTES = 500_000;
/** How long it does not read at all at first: until the server's side is full. */
const SLOW_START_MS = 300;

const [port, seed, connections] = process.argv.slice(2).map(Number) as [number, number, number];

/** Sizes of the chunks that one client sends. */
function chunksOf(kind: Kind, random: Random): number[] {
  if (kind === "chat") {
    return Array.from({ length: MESSAGES }, () => random.between(1, MESSAGE_MAX));
  }
  // A slow reader needs more than all the buffers of the kernel hold. Else small and large alike:
  // sizes even on a scale of powers of two.
  const total = kind === "slow"
    ? random.between(6, 8) * 2 ** 20
    : 2 ** random.between(0, 20) + random.between(0, 2 ** 20);
  const chunks: number[] = [];
  for (let left = total; left > 0; left -= chunks.at(-1)!) {
    chunks.push(Math.min(random.between(1, CHUNK_MAX), left));
  }
  return chunks;
}

function talk(index: number): Promise<ClientReport> {
  const random = new Random(seed + index);
  const kind = KINDS[index % KINDS.length]!;
  const chunks = chunksOf(kind, random);
  const length = chunks.reduce((sum, size) => sum + size, 0);
  const bytes = payload(seed ^ index, length);
  const trips_ms: number[] = [];
  let sent = 0;
  let sent_at = 0;
  let received = 0;
  let problem = "";
  let until_rest = SLOW_BYTES;

  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });

    function rest(ms: number): void {
      socket.pause();
      setTimeout(() => socket.resume(), ms);
    }

    function sendSome(): void {
      sent_at = performance.now();
      for (let size = chunks.shift(); size !== undefined; size = chunks.shift()) {
        const more = socket.write(bytes.subarray(sent, sent + size));
        sent += size;
        if (kind === "chat") return;
        if (!more) return void socket.once("drain", sendSome);
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
      if (kind === "chat" && received === sent) {
        trips_ms.push(performance.now() - sent_at);
        sendSome();
      }
      until_rest -= part.length;
      if (kind !== "slow" || until_rest > 0) return;
      until_rest = SLOW_BYTES;
      rest(random.between(5, 20));
    }

    socket.on("connect", () => {
      sendSome();
      if (kind === "slow") rest(SLOW_START_MS);
    });
    socket.on("data", receive);
    socket.on("error", (error) => problem ||= error.message);
    socket.on("close", () => {
      if (received !== length) problem ||= `${received} of ${length} bytes came back`;
      resolve({ index, kind, sent, received, trips_ms, problem });
    });
  });
}

if (import.meta.main) {
  bounded(20);
  const reports = await Promise.all(Array.from({ length: connections }, (_, index) => talk(index)));
  console.log(JSON.stringify(reports));
}
