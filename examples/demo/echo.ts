import { type Loop, Server } from "../../adapters/mod.ts";
import type { ClientReport } from "./clients.ts";
import { mebibytes, type Part, quantile } from "./part.ts";
import { answerOf, startScript } from "./processes.ts";

const CONNECTIONS = 16;

/**
 * An echo server, and clients of another process that check every byte.
 *
 * @param loop The loop of the demo.
 * @param seed Decides on sizes and contents.
 */
export function startEcho(loop: Loop, seed: number): Part {
  const problems: string[] = [];
  let clients: ClientReport[] = [];
  let accepted = 0;
  let closed = 0;
  let bytes = 0;
  let stalls = 0;

  const server = new Server(loop).listen({}, () => {
    accepted++;
    return {
      data(connection, part) {
        bytes += part.length;
        if (connection.write(part)) return;
        // The client does not read: take no more from it until it has.
        stalls++;
        connection.pause();
      },
      drain: (connection) => connection.resume(),
      close(_connection, error) {
        closed++;
        if (error !== undefined) problems.push(`a connection ended with ${error.message}`);
      },
    };
  });

  async function talk(): Promise<void> {
    clients = await answerOf(startScript("clients.ts", server.port, seed, CONNECTIONS));
    for (const { index, kind, problem } of clients) {
      if (problem !== "") problems.push(`client ${index} (${kind}): ${problem}`);
    }
    const sent = clients.reduce((sum, client) => sum + client.sent, 0);
    if (bytes !== sent) problems.push(`the server got ${bytes} bytes, ${sent} were sent`);
  }

  return {
    done: talk().catch((error: Error) => void problems.push(error.message)),
    stop: () => server.close(),
    result() {
      const trips = clients.flatMap((client) => client.trips_ms).toSorted((a, b) => a - b);
      const trip_p50_ms = quantile(trips, 0.5);
      return {
        what: `${accepted} connections, ${mebibytes(bytes)} there and back, ${stalls} waits for ` +
          `slow readers, round trip p50 ${trip_p50_ms.toFixed(2)} ms`,
        problems: clients.length === CONNECTIONS && accepted === CONNECTIONS && closed === accepted
          ? problems
          : [...problems, `${CONNECTIONS} clients, ${accepted} accepted, ${closed} closed`],
        numbers: { connections: accepted, bytes, stalls, trip_p50_ms },
      };
    },
  };
}
