// The same handlers for Node's socket.io: node node_app.js PORT
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const httpServer = createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.end("ok");
});
const io = new Server(httpServer);
const online = new Map();
let jobs;

if (process.env.BENCH_EXTRA === "thread") {
  const { Worker } = require("node:worker_threads");
  const source =
    'const { parentPort } = require("node:worker_threads");' +
    'parentPort.on("message", (job) => parentPort.postMessage(job));';
  jobs = new Worker(source, { eval: true });
  jobs.on("message", ([id, data]) => io.to(id).emit("echo", data));
}

io.on("connection", (socket) => {
  online.set(socket.id, 0);
  const count = () => online.set(socket.id, online.get(socket.id) + 1);
  socket.on("disconnect", () => online.delete(socket.id));
  socket.on("echo", (data) => {
    count();
    socket.emit("echo", data);
  });
  socket.on("ack", (data, answer) => {
    count();
    answer(data);
  });
  socket.on("fan", (data) => {
    count();
    socket.broadcast.emit("fan", data);
  });
  socket.on("join", (room, answer) => {
    socket.join(room);
    answer();
  });
  socket.on("room", (room, data) => io.to(room).emit("room", data));
  socket.on("job", (data) => jobs.postMessage([socket.id, data]));
});

httpServer.listen(Number(process.argv[2]), "127.0.0.1");
