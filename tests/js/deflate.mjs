// node deflate.mjs URL MODE
//
// The stock client offers permessage-deflate by itself: large events and bytes both ways, a
// broadcast, and how many bytes of all that came over the wire.

import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";

import { connect, connected, report, upgraded } from "./report.mjs";

const [url, mode] = process.argv.slice(2);
const ROWS = Array.from({ length: 2000 }, (_, id) => ({ id, name: `row ${id}`, note: "é😀" }));
const BYTES = Buffer.alloc(200_000, "abc");
const NOISE = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * i * 7919) >> 8));

report(async () => {
  const sockets = [connect(url, mode), connect(url, mode)];
  await Promise.all(sockets.map(connected));
  await Promise.all(sockets.map(upgraded));
  const [socket, other] = sockets;
  const { ws } = socket.io.engine.transport;
  const before = ws._socket.bytesRead;
  const wrote = ws._socket.bytesWritten;
  const values = ["short", ROWS, { bytes: BYTES, noise: NOISE }, "x".repeat(100_000), ""];
  const answers = [];
  for (const value of values) answers.push(await socket.emitWithAck("echo", value));
  const bytes = { read: ws._socket.bytesRead - before, written: ws._socket.bytesWritten - wrote };
  const heard = once(other, "news");
  socket.emit("tell", ROWS);
  const [news] = await heard;
  for (const each of sockets) each.disconnect();
  return {
    extensions: ws.extensions,
    equal: isDeepStrictEqual(answers, values),
    broadcast: isDeepStrictEqual(news, ROWS),
    small: bytes.read < 40_000 && bytes.written < 40_000,
    plain: bytes.read > 300_000 && bytes.written > 300_000,
  };
});
