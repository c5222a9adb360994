// node msgpack.mjs URL MODE
//
// The stock client with socket.io-msgpack-parser: values and bytes both ways, acks both ways,
// namespaces, refusals, a broadcast; everything on one transport.

import { isDeepStrictEqual } from "node:util";
import { once } from "node:events";

import parser from "socket.io-msgpack-parser";

import { connect, connected, report, upgraded } from "./report.mjs";

const [url, mode] = process.argv.slice(2);
const open = (path = "", options = {}) => connect(url + path, mode, { parser, ...options });

const VALUES = {
  text: ["", "é", "😀\u0000\u2028", "x".repeat(70_000)],
  numbers: [0, -1, 255, 65_536, 2 ** 40, -(2 ** 40), 0.5, -0.5],
  words: [null, true, false, [], {}, { nested: [{ deep: [null] }] }],
  bytes: { one: Buffer.from([1, 2, 3]), list: [Buffer.alloc(0), Buffer.alloc(70_000, 7)] },
  date: new Date("2024-02-29T12:34:56.789Z"),
};

async function echo(socket) {
  const differing = [];
  for (const [name, value] of Object.entries(VALUES)) {
    const answer = await socket.emitWithAck("echo", value);
    if (!isDeepStrictEqual(answer, value)) differing.push(name);
  }
  return differing;
}

// What the stock parser writes by extensions, and how it comes back.
async function extensions(socket) {
  const answer = await socket.emitWithAck("echo", {
    gone: undefined,
    view: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
    byte: new Uint8Array([0]).buffer,
    empty: new ArrayBuffer(0),
    not: NaN,
  });
  return isDeepStrictEqual(answer, {
    gone: null,
    view: Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]),
    byte: Buffer.from([0]),
    empty: Buffer.alloc(0),
    not: null,
  });
}

async function asked(socket) {
  const bytes = Buffer.from([0, 255]);
  socket.on("question", (data, answer) => answer(data, { bytes }));
  return await socket.emitWithAck("ask", { bytes });
}

report(async () => {
  const socket = open("", { auth: { token: "é", bytes: Buffer.from([9]) } });
  const other = open();
  const admin = open("/admin");
  const refused = open("/nowhere");
  const [[error]] = await Promise.all([
    once(refused, "connect_error"),
    ...[socket, other, admin].map(connected),
  ]);
  const heard = once(other, "news");
  const result = {
    differing: await echo(socket),
    extensions: await extensions(socket),
    answer: await asked(socket),
    auth: await socket.emitWithAck("auth"),
    no_auth: (await other.emitWithAck("auth")) === undefined,
    admin: await admin.emitWithAck("echo", "x"),
    refused: error.message,
    none: await new Promise((resolve) => socket.emit("nothing", (_, ...args) => resolve(args))),
    several: await new Promise((resolve) => socket.emit("several", (_, ...args) => resolve(args))),
  };
  await socket.emitWithAck("tell", VALUES.bytes);
  const [news] = await heard;
  result.broadcast = isDeepStrictEqual(news, VALUES.bytes);
  result.websocket = mode === "polling" ? false : await upgraded(socket);
  const left = once(socket, "disconnect");
  socket.emit("leave");
  [result.left] = await left;
  for (const each of [other, admin, refused]) each.disconnect();
  return result;
});
