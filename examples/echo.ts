// A TCP server that sends back what it gets, at the pace of its clients, and a client.
//
//   deno run -A examples/echo.ts
//   bun examples/echo.ts

import { Connection, Loop, Server } from "../adapters/mod.ts";

const MESSAGE = "hello, kevent";
const REPEAT = 100_000;

using loop = new Loop();

const server = new Server(loop).listen({}, () => ({
  data(connection, bytes) {
    // False: the kernel has no room for all of it now. Read on when it has.
    if (!connection.write(bytes)) connection.pause();
  },
  drain: (connection) => connection.resume(),
}));

const message = new TextEncoder().encode(MESSAGE.repeat(REPEAT));
let received = 0;
let wrong = 0;
await new Promise<void>((resolve, reject) => {
  Connection.connect(loop, "127.0.0.1", server.port, {
    open(connection) {
      connection.write(message);
      // Once all is sent; the echo still comes.
      connection.end();
    },
    data(_connection, bytes) {
      // The bytes are good until this function returns.
      for (const byte of bytes) if (byte !== message[received++]) wrong++;
    },
    close: (_connection, error) => error === undefined ? resolve() : reject(error),
  });
});
server.close();
console.log(`${received} of ${message.length} bytes came back, ${wrong} wrong`);
