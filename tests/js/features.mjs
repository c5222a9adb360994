// node features.mjs URL MODES
//
// Bytes both ways, rooms, broadcasts and refusals. MODES are the transports to try, with a
// comma between them; every check runs with clients of all of them connected at once.

import { isDeepStrictEqual } from "node:util";

import { connect, connected, report } from "./report.mjs";

const [url, modes] = process.argv.slice(2);
const MODES = modes.split(",");
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, value) => value));

// Collects what a client was sent; `synced` is when all of that has certainly come.
class Client {
  constructor(mode) {
    this.socket = connect(url, mode);
    this.got = {};
    this.socket.onAny((event, value) => (this.got[event] ??= []).push(value));
  }
  ready() {
    return connected(this.socket);
  }
  call(event, ...args) {
    return this.socket.emitWithAck(event, ...args);
  }
  take(event) {
    const values = this.got[event] ?? [];
    delete this.got[event];
    return values;
  }
}

async function everybody() {
  const clients = MODES.map((mode) => new Client(mode));
  await Promise.all(clients.map((client) => client.ready()));
  return clients;
}

const synced = (clients) => Promise.all(clients.map((client) => client.call("echo", "sync")));

async function binary(clients) {
  const data = { one: BYTES, list: [BYTES.subarray(0, 3), "text", null], number: 7 };
  const answers = await Promise.all(clients.map((client) => client.call("binary", data)));
  return clients.every(
    (client, index) =>
      isDeepStrictEqual(answers[index], data) && isDeepStrictEqual(client.take("binary"), [data]),
  );
}

async function rooms(clients) {
  const stranger = clients.at(-1);
  const members = clients.slice(0, -1);
  for (const member of members) await member.call("join", "blue");
  const expected = [];
  for (const member of members) {
    await member.call("shout", "blue", BYTES);
    expected.push({ room: "blue", data: BYTES });
  }
  await synced(clients);
  const heard = members.map((member) => member.take("shouted"));
  const overheard = stranger.take("shouted");
  await members[0].call("leave", "blue");
  await stranger.call("shout", "blue", BYTES);
  await synced(clients);
  const left = members.map((member) => member.take("shouted").length);
  return {
    rooms: heard.every((each) => isDeepStrictEqual(each, expected)) && overheard.length === 0,
    left: left[0] === 0 && left.slice(1).every((each) => each === 1),
  };
}

async function broadcast(clients) {
  await clients[0].call("announce", BYTES);
  await synced(clients);
  return clients.every((client) => isDeepStrictEqual(client.take("announced"), [BYTES]));
}

async function refusal(mode) {
  const socket = connect(url, mode, { auth: { refuse: 7 } });
  const error = await new Promise((resolve) => {
    socket.once("connect_error", resolve);
    socket.once("connect", () => resolve(null));
  });
  socket.disconnect();
  return error?.message === "go away" && isDeepStrictEqual(error.data, { code: 7 });
}

async function slow(clients) {
  const order = [];
  const waiting = clients[0].call("slow", 0.3).then((answer) => order.push(answer));
  const others = clients.slice(1).map(async (client) => order.push(await client.call("echo", 1)));
  await Promise.all([waiting, ...others]);
  return order.at(-1) === "slow";
}

report(async () => {
  const clients = [...(await everybody()), ...(await everybody())];
  const result = { binary: await binary(clients), ...(await rooms(clients)) };
  result.broadcast = await broadcast(clients);
  result.slow = await slow(clients);
  result.refusal = (await Promise.all(MODES.map(refusal))).every(Boolean);
  for (const client of clients) client.socket.disconnect();
  return result;
});
