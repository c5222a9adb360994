// node versions.mjs URL PACKAGE
//
// A stock client of one version, on polling, on WebSocket and with an upgrade, all at once.
// PACKAGE is the name under which that version is installed. Prints "ready" when all is done
// but the reconnection, for which the server has to be started again; then the result.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [url, name] = process.argv.slice(2);
const io = createRequire(import.meta.url)(name);
const OLD = name.endsWith("-1") || name.endsWith("-2"); // Engine.IO 3
const MODES = { polling: ["polling"], websocket: ["websocket"], default: ["polling", "websocket"] };
const DEADLINE_MS = 90_000;

const TEXT = "é€\u{1f600}\ud800";
const BYTES = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
const TOKEN = "a,€&=";
const NESTED = { one: BYTES, list: [Buffer.alloc(0), [{ two: BYTES.subarray(1, 4) }], null, TEXT] };

const once = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));
const ask = (socket, ...args) => new Promise((resolve) => socket.emit(...args, (...got) => resolve(got)));

class Client {
  constructor(mode) {
    this.mode = mode;
    this.manager = new io.Manager(url, {
      transports: MODES[mode],
      query: OLD ? "user=J%C3%BCrgen" : { user: "Jürgen" },
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      timeout: DEADLINE_MS,
    });
    this.socket = this.manager.socket("/", { auth: { token: TOKEN } });
    this.socket.on("question", (...args) => args.pop()(...args, "answered"));
  }

  // Joins a namespace; resolves with what it is told first.
  async join(namespace, token) {
    const told = OLD ? { query: `token=${encodeURIComponent(token)}` } : { auth: { token } };
    const socket = this.manager.socket(namespace, told);
    const [event, data] = await Promise.race(
      ["hello", "error", "connect_error"].map(async (event) => [event, (await once(socket, event))[0]]),
    );
    return { socket, event, data };
  }

  async connect() {
    const hello = once(this.socket, "hello");
    await once(this.socket, "connect");
    assert.deepEqual(await hello, [
      { user: "Jürgen", auth: OLD ? null : { token: TOKEN }, text: TEXT },
    ]);
    if (this.mode === "default" && this.manager.engine.transport.name !== "websocket") {
      await once(this.manager.engine, "upgrade");
    }
  }

  async namespaces() {
    const { socket, event, data } = await this.join("/admin", TOKEN);
    assert.deepEqual([event, data], ["hello", { user: "Jürgen" }]);
    assert.deepEqual(await ask(socket, "echo", TEXT, BYTES), [TEXT, BYTES]);
    socket.close();
    const refusals = {};
    for (const namespace of ["/admin", "/closed", "/nowhere"]) {
      const client = new Client(this.mode);
      const { data: refused } = await client.join(namespace, "wrong");
      client.end();
      refusals[namespace] = OLD ? refused : [refused.message, refused.data];
    }
    assert.deepEqual(
      refusals,
      OLD
        ? { "/admin": "no token", "/closed": { until: TEXT }, "/nowhere": "Invalid namespace" }
        : {
            "/admin": ["no token", undefined],
            "/closed": ["closed", { until: TEXT }],
            "/nowhere": ["Invalid namespace", undefined],
          },
    );
  }

  async data() {
    const { socket } = this;
    for (const value of [TEXT, BYTES, Buffer.alloc(0), NESTED, [NESTED, 0, "", false, -1.5]]) {
      assert.deepEqual(await ask(socket, "echo", value), [value]);
      assert.deepEqual(await ask(socket, "ask_me", value, "and"), [value, "and", "answered"]);
      const said = once(socket, "said");
      socket.emit("say", value, TEXT);
      assert.deepEqual(await said, [value, TEXT]);
    }
    assert.deepEqual(await ask(socket, "echo"), []);
    const answers = await Promise.all([...Array(40).keys()].map((each) => ask(socket, "echo", each)));
    assert.deepEqual(answers.flat(), [...Array(40).keys()]);
  }

  async attend() {
    const here = once(this.socket, "all here");
    this.socket.emit("attend");
    assert.deepEqual(await here, [{ text: TEXT, bytes: [BYTES, Buffer.alloc(0)] }]);
  }

  async reconnect() {
    await once(this.socket, "connect");
    assert.deepEqual(await ask(this.socket, "echo", NESTED), [NESTED]);
    const gone = once(this.socket, "disconnect");
    this.socket.emit("leave");
    assert.equal((await gone)[0], "io server disconnect");
    this.end();
  }

  end() {
    this.manager.reconnection(false);
    this.manager.engine.close();
  }
}

const late = setTimeout(() => finish({ error: "the script's deadline has passed" }), DEADLINE_MS);
const clients = Object.keys(MODES).map((mode) => new Client(mode));
const all = (step) =>
  Promise.all(
    clients.map((client) =>
      client[step]().catch((error) => {
        error.message = `${client.mode}, ${step}: ${error.message}`;
        throw error;
      }),
    ),
  );

try {
  for (const step of ["connect", "namespaces", "data", "attend"]) await all(step);
  const reconnected = all("reconnect");
  process.stdout.write("ready\n");
  await reconnected;
  finish({ modes: clients.map((client) => client.mode) });
} catch (error) {
  finish({ error: String(error?.stack ?? error) });
}

function finish(result) {
  clearTimeout(late);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
