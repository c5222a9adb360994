// node cluster.mjs URL
//
// Clients of several workers, each on a known one, reach each other by every way the server
// has. What they find is the result.

import { connect, connected, report } from "./report.mjs";

const [url] = process.argv.slice(2);
const WAIT_MS = 10_000;

class Visitor {
  constructor(name) {
    this.name = name;
    this.said = [];
    this.socket = connect(url, "websocket", { auth: { user: name } });
    this.socket.on("said", (data) => this.said.push(data));
    this.socket.on("question", (text, answer) => answer(`${this.name}: ${text}`));
    this.waiting = [];
  }
  get id() {
    return this.socket.id;
  }
  get worker() {
    return this.socket.io.engine.id.slice(0, 6);
  }
  ask(...args) {
    return this.socket.timeout(WAIT_MS).emitWithAck(...args);
  }
  // What it was told until now, in the order of the calls: a question to it comes behind all.
  async heard(asker) {
    await asker.ask("ask", this.id, "sync");
    return this.said.splice(0);
  }
}

// One visitor on each of so many workers, and one beside the first.
async function spread(workers) {
  const found = new Map();
  let beside;
  const extra = [];
  let count = 0;
  while (found.size < workers || !beside) {
    // Many at a time: an idle worker takes all that come one after the other.
    const some = Array.from({ length: 16 }, () => new Visitor(`v${count++}`));
    await Promise.all(some.map((visitor) => connected(visitor.socket)));
    for (const visitor of some) {
      const first = [...found.keys()][0];
      if (!found.has(visitor.worker)) found.set(visitor.worker, visitor);
      else if (visitor.worker === first && !beside) beside = visitor;
      else extra.push(visitor);
    }
  }
  for (const visitor of extra) visitor.socket.disconnect();
  return [...found.values(), beside];
}

report(async () => {
  const visitors = await spread(Number(process.argv[3]));
  const [first, second, ...others] = visitors;
  const hear = async () => {
    const all = [];
    for (const visitor of visitors) all.push((await visitor.heard(first)).join());
    return all;
  };
  const result = { workers: new Set(visitors.map((visitor) => visitor.worker)).size };
  await hear();

  // broadcasts, rooms, ids, users
  await first.ask("say", {}, "all");
  await Promise.all(visitors.map((visitor) => visitor.ask("join", "room", visitor.name)));
  await first.ask("say", { to: "room", except: second.name }, "room");
  result.to_id = await first.ask("say", { to: second.id }, "id");
  result.to_own = await first.ask("say", { to: first.id }, "own");
  await first.ask("say", { user: others[0].name }, "user");
  await second.ask("say-others", "others");
  result.heard = await hear();

  // order, and bytes
  const numbers = Array.from({ length: 50 }, (_, i) => i);
  await Promise.all(numbers.map((n) => first.ask("say", n % 2 ? { to: second.id } : {}, n)));
  result.in_order = (await second.heard(first)).join() === numbers.join();
  await hear();
  await first.ask("say", { to: second.id }, { data: Buffer.from([0, 255]) });
  await second.heard(first).then(([said]) => {
    result.bytes = [...new Uint8Array(said.data)];
  });

  // emits of views, and of threads
  for (const query of ["event=said&n=1", "event=said&n=2&thread=1"]) {
    await fetch(`${url}/emit?${query}`);
  }
  const views = [];
  for (const visitor of visitors) {
    while (visitor.said.length < 2) await first.ask("ask", visitor.id, "sync");
    views.push(visitor.said.splice(0).sort().join());
  }
  result.views = [...new Set(views)];

  // answers
  result.answer = (await first.ask("ask", second.id, "why")).answer === `${second.name}: why`;
  result.unknown = await first.ask("ask", "x".repeat(20), "why");
  const { answers } = await first.ask("poll", "room", 10);
  result.answers = visitors.every(({ id, name }) => answers[id] === `${name}: all`);
  result.of_all = Object.keys(answers).length;

  // who is there
  const seen = await first.ask("who", "room");
  result.sizes = seen.sizes.room === visitors.length && seen.sizes[second.name] === 1;
  result.members = [...seen.members].sort().join() === visitors.map((v) => v.id).sort().join();
  result.pids = seen.pids.length;
  result.count = seen.count;
  const online = await first.ask("user", second.name);
  result.user = online[0] && online[1].includes(second.id);
  result.nobody = await first.ask("user", "nobody");
  result.servers = (await first.ask("pids")).length;

  // moving and disconnecting
  await first.ask("move", second.id, "room", "elsewhere");
  await hear();
  const after = await first.ask("who", "elsewhere");
  result.moved = after.members.join() === second.id && after.sizes.room === visitors.length - 1;
  const left = (visitor) => new Promise((done) => visitor.socket.once("disconnect", done));
  const gone = left(second);
  await first.ask("kick", second.id);
  result.kicked = await gone;
  const last = others[0];
  const kicked = left(last);
  await first.ask("kick-user", last.name);
  result.user_kicked = await kicked;
  result.still_here = visitors.filter((visitor) => visitor.socket.connected).length;
  for (const { socket } of visitors) socket.disconnect();
  return result;
});
