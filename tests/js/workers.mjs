// node workers.mjs URL kill|reload CLIENTS MASTER_PID
//
// Clients of several workers, on WebSocket after an upgrade. One worker is killed, or all are
// told to make way for new ones; every client must be back by itself, and nobody drops that
// has no reason to.

import { connect, connected, report, upgraded } from "./report.mjs";

const [url, how, clients, master] = process.argv.slice(2);

class Visitor {
  constructor(number) {
    this.number = number;
    this.reasons = [];
    const quick = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 500 };
    this.socket = connect(url, "default", quick);
    this.socket.on("disconnect", (reason) => this.reasons.push(reason));
  }
  async arrive() {
    await connected(this.socket);
    this.upgraded = await upgraded(this.socket);
    this.tag = this.socket.io.engine.id.slice(0, 6);
  }
  left() {
    return new Promise((resolve) => {
      if (this.reasons.length) resolve();
      else this.socket.once("disconnect", () => resolve());
    });
  }
  back() {
    return new Promise((resolve) => {
      if (this.socket.connected) resolve();
      else this.socket.once("connect", () => resolve());
    });
  }
}

async function killOne(visitors) {
  const { pid, tag } = await (await fetch(`${url}/stats`)).json();
  process.kill(pid, "SIGKILL");
  return visitors.filter((visitor) => visitor.tag === tag);
}

async function reload(visitors) {
  process.kill(Number(master), "SIGHUP");
  return visitors;
}

report(async () => {
  const visitors = [];
  const workers = () => new Set(visitors.map((visitor) => visitor.tag)).size;
  // A few at a time: one worker may take all that come at once.
  while (visitors.length < Number(clients) || workers() < 2) {
    const some = Array.from({ length: 4 }, (_, i) => new Visitor(visitors.length + i));
    await Promise.all(some.map((visitor) => visitor.arrive()));
    visitors.push(...some);
  }
  const expected = await (how === "kill" ? killOne : reload)(visitors);
  await Promise.all(expected.map((visitor) => visitor.left()));
  await Promise.all(expected.map((visitor) => visitor.back()));
  const answers = await Promise.all(
    visitors.map(({ socket, number }) => socket.emitWithAck("echo", number)),
  );
  const result = {
    on_polling: visitors.filter((visitor) => !visitor.upgraded).length,
    others: visitors.filter((each) => !expected.includes(each) && each.reasons.length).length,
    twice: visitors.filter((visitor) => visitor.reasons.length > 1).length,
    reasons: [...new Set(visitors.flatMap((visitor) => visitor.reasons))],
    unanswered: answers.filter((answer, number) => answer !== number).length,
  };
  for (const { socket } of visitors) socket.disconnect();
  return result;
});
