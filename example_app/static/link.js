// The connection to the server, and the messages that wait for it.
//
// A message leaves the outbox when the server has acknowledged it. After a reconnect the first
// one that was not is sent again; the server knows it by its "cid" and does not show it twice.

const ANSWER_MS = 10_000;
const TRIES = 3;
const OUTBOX = 100;

export class Refusal extends Error {
  constructor(answer) {
    super(answer?.error ?? "The server did not understand.");
    this.retryAfter = answer?.retry_after;
  }
}

export class Link {
  #socket;
  #handlers;
  #outbox = [];
  #ready = false;
  #sending = false;

  // handlers: hello() joins after each connect; state(name, transport) tells how it is;
  // signedOut() when the server no longer knows this name; on: {event: function}.
  constructor(path, handlers) {
    this.#handlers = handlers;
    this.#socket = io({
      path,
      reconnectionDelay: 300,
      reconnectionDelayMax: 3000,
      autoConnect: false,
    });
    this.#socket.on("connect", () => this.#connected());
    this.#socket.on("disconnect", (reason) => this.#disconnected(reason));
    this.#socket.on("connect_error", (error) => this.#failed(error));
    for (const [event, handler] of Object.entries(handlers.on)) this.#socket.on(event, handler);
    window.addEventListener("online", () => this.retry());
    window.addEventListener("offline", () => this.#report("offline"));
  }

  start() {
    this.#report("connecting");
    this.#socket.connect();
  }

  stop() {
    this.#socket.disconnect();
  }

  get connected() {
    return this.#socket.connected;
  }

  // Connected, and joined.
  get ready() {
    return this.#ready;
  }

  // Do not wait for the next attempt.
  retry() {
    if (this.#socket.connected) return;
    this.#socket.disconnect();
    this.start();
  }

  // Never kept for later, as the client would do with what is emitted while there is none.
  tell(event, data) {
    if (this.#socket.connected) this.#socket.emit(event, data);
  }

  async ask(event, data) {
    if (!this.#socket.connected) throw new Error("There is no connection.");
    const answer = await this.#socket
      .timeout(ANSWER_MS)
      .emitWithAck(event, data)
      .catch(() => {
        throw new Error("The server did not answer.");
      });
    if (answer?.ok !== true) throw new Refusal(answer);
    return answer;
  }

  // Send now or as soon as possible; done(answer) or failed(text) is called once.
  post(event, data, done, failed) {
    if (this.#outbox.length >= OUTBOX) return failed("Too many messages are waiting.");
    this.#outbox.push({ event, data, done, failed, tries: 0 });
    this.#flush();
  }

  async #flush() {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#ready && this.#outbox.length) await this.#sendFirst(this.#outbox[0]);
    this.#sending = false;
  }

  async #sendFirst(job) {
    try {
      const answer = await this.ask(job.event, job.data);
      this.#outbox.shift();
      job.done(answer);
    } catch (error) {
      if (!this.#ready) return; // it stays first, for after the reconnect
      if (error.retryAfter) return void (await pause(error.retryAfter * 1000));
      if (!(error instanceof Refusal) && ++job.tries < TRIES) return;
      this.#outbox.shift();
      job.failed(error.message);
    }
  }

  async #connected() {
    const engine = this.#socket.io.engine;
    engine.on("upgrade", () => this.#report("online"));
    try {
      await this.#handlers.hello();
    } catch {
      if (this.#socket.connected) this.retry();
      return;
    }
    if (!this.#socket.connected) return;
    this.#ready = true;
    this.#report("online");
    this.#flush();
  }

  #disconnected(reason) {
    this.#ready = false;
    if (reason === "io client disconnect") return;
    this.#report(navigator.onLine ? "reconnecting" : "offline");
    // The client does not come back from this one by itself; when it was meant, because
    // this name signed out in another tab, the new attempt is refused with the reason.
    if (reason === "io server disconnect") this.#socket.connect();
  }

  #failed(error) {
    if (error.data?.code === "name") return this.#handlers.signedOut();
    if (!this.#socket.active) setTimeout(() => this.#socket.connect(), 3000);
    this.#report(navigator.onLine ? "reconnecting" : "offline");
  }

  #report(state) {
    const transport = this.#socket.io.engine?.transport?.name ?? "";
    this.#handlers.state(state, transport);
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
