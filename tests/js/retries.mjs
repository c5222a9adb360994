// node retries.mjs URL EVENT ID
//
// Sends one event by a client that sends it again until it is acknowledged.

import { connect, connected, report } from "./report.mjs";

const [url, event, id] = process.argv.slice(2);

await report(async () => {
  const socket = connect(url, "websocket", { retries: 100, ackTimeout: 50 });
  let sent = 0;
  socket.onAnyOutgoing(() => sent++);
  await connected(socket);
  const answer = await new Promise((resolve, reject) =>
    socket.emit(event, id, (error, value) => (error ? reject(error) : resolve(value))),
  );
  socket.disconnect();
  return { answer, sent };
});
