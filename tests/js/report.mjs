// What the scripts share: a client with short deadlines, and one JSON line as the result.

import { io } from "socket.io-client";

export const DEADLINE_MS = 30_000;

const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  default: undefined, // the stock client's: polling first, then an upgrade
};

export function connect(url, mode, options = {}) {
  const transports = TRANSPORTS[mode];
  const socket = io(url, {
    ...(transports ? { transports } : {}),
    forceNew: true,
    reconnection: false,
    timeout: DEADLINE_MS,
    ackTimeout: DEADLINE_MS,
    ...options,
  });
  socket.io.engine.once("handshake", ({ upgrades }) => (socket.offered = upgrades));
  return socket;
}

export function connected(socket) {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
}

// Resolves with true once the client is on WebSocket, with false where nothing is offered.
export function upgraded(socket) {
  const engine = socket.io.engine;
  if (engine.transport.name === "websocket") return Promise.resolve(true);
  if (engine.readyState !== "open") return Promise.resolve(false);
  if (socket.offered.length === 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    engine.once("upgrade", () => resolve(true));
    engine.once("upgradeError", () => resolve(false));
    engine.once("close", () => resolve(false));
  });
}

export async function report(run) {
  const late = setTimeout(() => finish({ error: "the script's deadline has passed" }), DEADLINE_MS);
  try {
    const result = await run();
    clearTimeout(late);
    finish(result);
  } catch (error) {
    finish({ error: `${error?.stack ?? error} ${JSON.stringify(error?.data ?? null)}` });
  }
}

function finish(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
