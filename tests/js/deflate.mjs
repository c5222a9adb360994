// node deflate.mjs URL MODE CLIENTS
//
// The stock client offers permessage-deflate by itself: large events and bytes both ways, a
// broadcast, and how many bytes of all that came over the wire.

import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";

import { connect, connected, report, upgraded } from "./report.mjs";

const [url, mode, clients] = process.argv.slice(2);
const ROWS = Array.from({ length: 2000 }, (_, id) => ({ id, name: `row ${id}`, note: "é😀" }));
const BYTES = Buffer.alloc(200_000, "abc");
const NOISE = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * i * 7919) >> 8));

report(async () => {
  const sockets = Array.from({ length: Number(clients) }, () => connect(url, mode));
  await Promise.all(sockets.map(connected));
  await Promise.all(sockets.map(upgraded));
  const [socket, ...others] = sockets;
  const { ws } = socket.io.engine.transport;
  const extensions = new Set(sockets.map((each) => each.io.engine.transport.ws.extensions));
  const before = ws._socket.bytesRead;
  const wrote = ws._socket.bytesWritten;
  const values = ["short", ROWS, { bytes: BYTES, noise: NOISE }, "x".repeat(100_000), ""];
  const answers = [];
  for (const value of values) answers.push(await socket.emitWithAck("echo", value));
  const bytes = { read: ws._socket.bytesRead - before, written: ws._socket.bytesWritten - wrote };
  const rows = await Promise.all(sockets.map((each) => each.emitWithAck("echo", ROWS)));
  const heard = Promise.all(others.map((each) => once(each, "news")));
  socket.emit("tell", ROWS);
  const news = await heard;
  for (const each of sockets) each.disconnect();
  return {
    extensions: [...extensions],
    equal: isDeepStrictEqual(answers, values) && rows.every((row) => isDeepStrictEqual(row, ROWS)),
    broadcast: news.every(([rows]) => isDeepStrictEqual(rows, ROWS)),
    small: bytes.read < 40_000 && bytes.written < 40_000,
    plain: bytes.read > 300_000 && bytes.written > 300_000,
  };
});
