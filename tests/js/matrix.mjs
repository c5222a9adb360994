// node matrix.mjs URL polling|websocket|default CLIENTS EVENTS
//
// Each client sends the first half of its numbers at once, so that they travel during the
// upgrade, and the rest one after another. The server acknowledges each and emits it back.

import { connect, connected, report, upgraded } from "./report.mjs";

const [url, mode, clients, events] = process.argv.slice(2);
const count = Number(events);
const started = Date.now();

async function one(number) {
  const socket = connect(url, mode);
  const echoed = [];
  const acked = [];
  let ended = null;
  socket.on("echoed", (value) => echoed.push(value));
  socket.on("disconnect", (reason, details) => {
    ended = reason;
    // What is printed only if the test fails.
    console.error(`${number} after ${Date.now() - started} ms: ${reason}`, details);
  });
  await connected(socket);
  const name = (event) => `${number}:${event}`;
  const send = async (event) => acked.push(await socket.emitWithAck("echo", name(event)));

  const half = Math.ceil(count / 2);
  await Promise.all(Array.from({ length: half }, (_, event) => send(event)));
  const onWebSocket = mode === "polling" ? false : await upgraded(socket);
  for (let event = half; event < count; event++) await send(event);

  const expected = Array.from({ length: count }, (_, event) => name(event));
  const result = {
    upgraded: onWebSocket,
    transport: socket.io.engine.transport.name,
    early: ended,
    lost: expected.filter((value) => !acked.includes(value) || !echoed.includes(value)).length,
    doubled: Math.max(0, acked.length - count) + Math.max(0, echoed.length - count),
    ordered:
      JSON.stringify(acked) === JSON.stringify(expected) &&
      JSON.stringify(echoed) === JSON.stringify(expected),
  };
  return [socket, result];
}

report(async () => {
  const ended = await Promise.all(Array.from({ length: Number(clients) }, (_, i) => one(i)));
  const results = ended.map(([, result]) => result);
  const number = (test) => results.filter(test).length;
  const result = {
    connected: results.length,
    upgraded: number((each) => each.upgraded),
    on_websocket: number((each) => each.transport === "websocket"),
    cut: number((each) => each.early !== null),
    lost: results.reduce((sum, each) => sum + each.lost, 0),
    doubled: results.reduce((sum, each) => sum + each.doubled, 0),
    disordered: number((each) => !each.ordered),
    ms: Date.now() - started,
  };
  for (const [socket] of ended) socket.disconnect();
  return result;
});
