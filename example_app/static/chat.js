// The page: ties the connection, the lists and the composer together.

import { Conversations } from "./conversations.js";
import { Link } from "./link.js";
import { Log } from "./log.js";
import { paint, make } from "./people.js";
import { accept, prepare, viewer } from "./pictures.js";
import { Side } from "./side.js";
import { Typing } from "./typing.js";

const $ = (id) => document.getElementById(id);
const { me, home, socketPath, textChars, pictureBytes } = document.body.dataset;
const LOBBY = "#lobby";
const STATES = { connecting: "Connecting", reconnecting: "Reconnecting", offline: "Offline" };
const RECEIPTS = 10;

const all = new Conversations();
let room = all.get(roomOfUrl()); // where this tab is
let current = room; // what it shows: the room, or a private chat
let people = [];

const side = new Side(pick);
const log = new Log({
  scroll: $("scroll"),
  log: $("log"),
  toEnd: $("to-end"),
  me,
  actions: { view: viewer($("viewer")), again: resend },
});
const link = typeof io === "undefined" ? null : new Link(socketPath, {
  hello,
  state: showState,
  signedOut: () => location.assign(home),
  on: { message: received, delivered, typing: theyType, people: peopleChanged, rooms: roomsChanged, activity },
});
const typing = new Typing($("text"), (on) => link.tell("typing", { to: current.address, on }));

// The connection

async function hello() {
  const wanted = room;
  try {
    // With its title a room that people had made comes back after a restart.
    const title = all.rooms.length ? wanted.title : undefined;
    joined(await link.ask("join", { to: wanted.address, title }), wanted);
  } catch (error) {
    if (!link.connected || wanted.address === LOBBY) throw error;
    toast(error.message);
    back(all.get(LOBBY), wanted);
  }
  if (room !== wanted) return hello();
  if (!current.isRoom) await openPrivate();
  render();
}

function showState(state, transport) {
  $("link").dataset.state = state === "reconnecting" ? "connecting" : state;
  $("link-text").textContent = state === "online" ? transport : STATES[state];
  $("link").title = state === "online" ? `Connected over ${transport}` : "";
  const broken = state === "reconnecting" || state === "offline";
  $("banner").hidden = !broken;
  $("banner-text").textContent = broken ? "No connection. What you write is sent as soon as it is back." : "";
}

function joined({ address, title, people: names, rooms, privates, history: said }, wanted) {
  all.rooms = rooms;
  for (const chat of privates) privateKnown(chat);
  if (room !== wanted) return; // somebody has clicked on another one meanwhile
  room = all.get(address);
  room.title = title;
  people = names;
  if (current === wanted) current = room;
  merge(room, said);
  const hash = `#${encodeURIComponent(address.slice(1))}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}

// The room `wanted` cannot be entered: be in `before` instead.
function back(before, wanted) {
  if (room !== wanted) return;
  room = before;
  if (current !== wanted) return;
  current = before;
  showConversation();
}

async function openPrivate() {
  const shown = current;
  try {
    merge(shown, (await link.ask("open", { to: shown.address })).history);
  } catch (error) {
    toast(error.message);
  }
}

function merge(conversation, said) {
  const fresh = conversation.merge(said, incoming);
  for (const message of fresh.slice(-RECEIPTS)) receipt(message);
  if (conversation === current && fresh.length) log.show(current);
  else if (conversation === current) conversation.messages.forEach((message) => log.update(message));
}

function privateKnown({ address, last, mine }) {
  const chat = all.get(address);
  const unseen = !mine && !chat.find(last) && sessionStorage.getItem(`read ${address}`) !== last;
  if (unseen && chat !== current) chat.unread = Math.max(1, chat.unread);
}

// What the server tells

function incoming(message) {
  const { picture, ...rest } = message;
  const source = picture
    ? URL.createObjectURL(new Blob([picture], { type: message.kind }))
    : message.kind && `${home}picture/${encodeURIComponent(message.id)}`;
  return { ...rest, source, state: message.got ? "delivered" : "sent" };
}

function received(data) {
  const conversation = all.get(data.in);
  if (conversation.find(data.id)) return;
  const message = conversation.add(incoming(data));
  typingStopped(conversation, message.from);
  receipt(message);
  if (conversation === current) log.append(message);
  if (message.from !== me && (conversation !== current || document.hidden)) conversation.unread += 1;
  remember();
  render();
}

function receipt(message) {
  if (message.from !== me) link.tell("got", { id: message.id });
}

function delivered(data) {
  const message = all.known(data.in)?.find(data.id, data.cid); // it may be here before the ack
  if (!message || message.state === "delivered") return;
  message.state = "delivered";
  log.update(message);
}

function activity({ in: address, from }) {
  if (address === room.address || from === me) return;
  all.get(address).unread += 1;
  render();
}

function peopleChanged({ in: address, people: names }) {
  if (address !== room.address) return;
  people = names;
  render();
}

function roomsChanged(rooms) {
  all.rooms = rooms;
  render();
}

function theyType({ in: address, name, on }) {
  const conversation = all.get(address);
  typingStopped(conversation, name);
  if (on) conversation.typing.set(name, setTimeout(() => typingStopped(conversation, name), 5000));
  showTyping();
}

function typingStopped(conversation, name) {
  clearTimeout(conversation.typing.get(name));
  conversation.typing.delete(name);
  showTyping();
}

function showTyping() {
  const names = [...current.typing.keys()];
  const who = names.length > 2 ? "Several people are" : `${names.join(" and ")} ${names.length > 1 ? "are" : "is"}`;
  const dots = make("span", { class: "typing-dots", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
  $("typing").replaceChildren(...(names.length ? [dots, `${who} typing`] : []));
}

// What this person does

async function pick(address) {
  side.close();
  if (address === current.address) return $("text").focus();
  typing.stop();
  current.draft = $("text").value;
  current = all.get(address);
  showConversation();
  $("text").focus({ preventScroll: true });
  if (!current.isRoom) return link.ready && openPrivate();
  if (current === room) return;
  const before = room;
  room = current;
  people = [];
  if (link.ready) await enter({ to: address, title: room.title }, before);
}

async function enter(request, before) {
  const wanted = room;
  try {
    joined(await link.ask("join", request), wanted);
  } catch (error) {
    if (!link.connected) return; // hello() enters it after the reconnect
    toast(error.message);
    back(before, wanted);
  }
  render();
}

function send(fields) {
  const message = { cid: crypto.randomUUID?.() ?? randomId(), at: Date.now(), from: me, state: "waiting", ...fields };
  const conversation = current;
  message.in = conversation.address;
  conversation.add(message);
  log.append(message);
  post(message);
  typing.stop();
}

function post(message) {
  const event = message.kind ? "picture" : "say";
  const content = message.kind ? { picture: message.bytes } : { text: message.text };
  const changed = (state) => {
    Object.assign(message, state);
    log.update(message);
  };
  link.post(
    event,
    { to: message.in, cid: message.cid, ...content },
    ({ id, at }) => {
      const state = message.state === "delivered" ? message.state : "sent";
      changed({ id, at, bytes: undefined, state });
    },
    (error) => changed({ state: "failed", error }),
  );
}

function resend(message) {
  message.state = "waiting";
  log.update(message);
  post(message);
}

async function sendPicture(file) {
  try {
    const { bytes, kind } = await prepare(file, Number(pictureBytes));
    send({ bytes, kind, text: "", source: URL.createObjectURL(new Blob([bytes], { type: kind })) });
  } catch (error) {
    toast(error.message);
  }
}

// What is seen

function showConversation() {
  current.unread = 0;
  $("text").value = current.draft;
  composerChanged();
  log.show(current);
  showTyping();
  remember();
  render();
}

function render() {
  const state = (address) => ({ current: address === current.address, unread: all.known(address)?.unread });
  side.rooms(all.rooms, state);
  side.privates(all.privates(), state);
  side.people(people, me);
  $("title").textContent = current.title;
  $("subtitle").textContent = current.isRoom ? whoIsHere() : "Private, between you two";
  $("text").placeholder = current.isRoom ? `Message to ${current.title}` : `Message to ${current.title} only`;
  $("text-label").textContent = $("text").placeholder;
  const unread = all.unread();
  document.title = `${unread ? `(${unread}) ` : ""}${current.title} · Parlour`;
  $("any-unread").hidden = unread === current.unread;
}

function whoIsHere() {
  if (!people.length) return "Coming in";
  return people.length === 1 ? "Only you are here" : `${people.length} here: ${people.join(", ")}`;
}

function remember() {
  const last = current.messages.findLast((message) => message.id);
  if (last && !current.isRoom) sessionStorage.setItem(`read ${current.address}`, last.id);
}

function toast(text) {
  const element = make("p", { class: "toast" }, text);
  $("toasts").append(element);
  setTimeout(() => element.remove(), 7000);
}

function composerChanged() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
  const left = Number(textChars) - text.value.length;
  $("chars").hidden = left > 200;
  $("chars").textContent = String(left);
  $("send").disabled = !text.value.trim();
}

function roomOfUrl() {
  try {
    return `#${decodeURIComponent(location.hash.slice(1)) || LOBBY.slice(1)}`;
  } catch {
    return LOBBY;
  }
}

// crypto.randomUUID is there on https and localhost only.
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  composerChanged();
  send({ text });
});
$("text").addEventListener("input", composerChanged);
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("retry").addEventListener("click", () => link.retry());
$("new-room").addEventListener("click", () => showRoomForm($("room-form").hidden));
$("room-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const title = $("room-name").value.trim();
  if (!title || !link.ready) return toast("There is no connection.");
  current.draft = $("text").value;
  current = room;
  await enter({ to: "", title }, room);
  showRoomForm(false);
  showConversation();
  side.close();
});
// The server ends this connection when the name is given back: do not call that a failure.
$("leave").addEventListener("submit", () => link?.stop());
window.addEventListener("hashchange", () => pick(roomOfUrl()));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  current.unread = 0;
  render();
});
accept($("file"), $("text"), document.body, sendPicture);

function showRoomForm(open) {
  $("room-form").hidden = !open;
  $("new-room").setAttribute("aria-expanded", String(open));
  if (open) $("room-name").focus();
  else $("room-name").value = "";
}

paint($("my-avatar"), me);
showConversation();
if (link) link.start();
else toast("The Socket.IO client could not be loaded, so there is no chat.");
