// The lists at the side: rooms, private chats, people; on narrow screens a drawer.

import { avatar, make } from "./people.js";

const narrow = window.matchMedia("(max-width: 760px)");

export class Side {
  #body = document.body;
  #side = document.getElementById("side");
  #talk = document.getElementById("talk");
  #opener = document.getElementById("open-side");
  #onPick;

  // onPick(address) is called when somebody chooses a conversation.
  constructor(onPick) {
    this.#onPick = onPick;
    this.#opener.addEventListener("click", () => this.open());
    for (const id of ["close-side", "scrim"]) {
      document.getElementById(id).addEventListener("click", () => this.close());
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isOpen) this.close();
    });
    narrow.addEventListener("change", () => this.close());
  }

  get isOpen() {
    return this.#body.classList.contains("side-open");
  }

  open() {
    this.#body.classList.add("side-open");
    this.#opener.setAttribute("aria-expanded", "true");
    this.#talk.inert = narrow.matches; // the focus stays in the drawer
    document.getElementById("close-side").focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#body.classList.remove("side-open");
    this.#opener.setAttribute("aria-expanded", "false");
    this.#talk.inert = false;
    this.#opener.focus();
  }

  rooms(rooms, state) {
    fill("rooms", rooms.map(({ address, title, count }) => {
      const mark = make("span", { class: "entry-mark", "aria-hidden": "true" }, "#");
      const label = count === 1 ? "1 person" : `${count} people`;
      const here = count > 0 && make("span", { class: "entry-count", title: label }, String(count));
      if (here) here.append(make("span", { class: "hidden" }, count === 1 ? " person" : " people"));
      return this.#entry(address, title, mark, state(address), here);
    }));
  }

  privates(conversations, state) {
    document.getElementById("privates-section").hidden = !conversations.length;
    fill("privates", conversations.map(({ address, title }) =>
      this.#entry(address, title, avatar(title), state(address)),
    ));
  }

  people(names, me) {
    fill("people", names.map((name) => {
      if (name !== me) {
        const button = this.#entry(`@${name}`, name, avatar(name), {});
        button.setAttribute("aria-label", `Write to ${name} privately`);
        button.title = `Write to ${name} privately`;
        return button;
      }
      const label = make("span", { class: "entry-name", dir: "auto" }, name);
      return make("div", { class: "entry" }, avatar(name), label, make("span", { class: "entry-note" }, "you"));
    }));
  }

  #entry(address, title, mark, { current, unread }, count) {
    const button = make("button", { class: "entry", type: "button", "data-address": address });
    const badge = unread && make("span", { class: "unread" }, String(Math.min(unread, 99)));
    if (badge) badge.append(make("span", { class: "hidden" }, " new"));
    button.append(mark, make("span", { class: "entry-name", dir: "auto" }, title));
    if (badge || count) button.append(badge || count);
    if (current) button.setAttribute("aria-current", "true");
    button.classList.toggle("has-unread", Boolean(unread));
    button.addEventListener("click", () => this.#onPick(address));
    return button;
  }
}

// Replace a list without taking the focus from the entry that has it.
function fill(id, entries) {
  const list = document.getElementById(id);
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.address : null;
  list.replaceChildren(...entries.map((entry) => make("li", {}, entry)));
  if (focused) entries.find((entry) => entry.dataset.address === focused)?.focus();
}
