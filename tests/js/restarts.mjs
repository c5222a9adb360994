// node restarts.mjs URL PACKAGE CLIENTS ROUNDS MASTER_PID
//
// Clients that send numbered events without a pause while the workers are told to make way for
// new ones, several times. Prints how often each client left and came back, and what was acked.

import { createRequire } from "node:module";

import { report } from "./report.mjs";

const [url, name, clients, rounds, master] = process.argv.slice(2);
const io = createRequire(import.meta.url)(name);
const PAUSE_MS = 20;

class Worker {
  constructor(number) {
    this.number = number;
    this.sent = 0;
    this.acked = [];
    this.reasons = [];
    this.joined = 0;
    this.manager = new io.Manager(url, { reconnectionDelay: 100, reconnectionDelayMax: 500 });
    this.socket = this.manager.socket("/");
    this.socket.on("connect", () => {
      this.joined += 1;
      this.next();
    });
    this.socket.on("disconnect", (reason) => this.reasons.push(reason));
  }
  // One event after another: the next is sent when the last is acked.
  next() {
    if (this.over || !this.socket.connected) return;
    const [n, joined] = [this.sent++, this.joined];
    this.socket.emit("work", this.number, n, (answer) => {
      if (answer === n) this.acked.push(n);
      if (joined === this.joined) setTimeout(() => this.next(), PAUSE_MS);
    });
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

report(async () => {
  const workers = Array.from({ length: Number(clients) }, (_, number) => new Worker(number));
  const all = async (fits) => {
    while (!workers.every(fits)) await pause(50);
  };
  await all((worker) => worker.acked.length > 0);
  for (let round = 1; round <= Number(rounds); round++) {
    process.kill(Number(master), "SIGHUP");
    await all((worker) => worker.reasons.length >= round && worker.joined > round);
    const before = workers.map((worker) => worker.acked.length);
    await all((worker) => worker.acked.length > before[worker.number]);
  }
  for (const worker of workers) worker.over = true;
  await pause(10 * PAUSE_MS);
  for (const { socket } of workers) socket.disconnect();
  return {
    left: [...new Set(workers.map((worker) => worker.joined - 1))],
    reasons: [...new Set(workers.flatMap(({ reasons }) => reasons.slice(0, Number(rounds))))],
    acked: workers.map((worker) => worker.acked),
  };
});
