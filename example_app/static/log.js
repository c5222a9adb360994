// The list of messages of the conversation that is shown.

import { avatar, hue, icon, make } from "./people.js";

const GROUP_MS = 5 * 60_000;
const NEAR_END = 90;
const LINK = /https?:\/\/[^\s<>"'“”]+/g;
const EMOJI_ONLY = /^[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\u200d\ufe0f\s]{1,24}$/u;
const TICKS = {
  waiting: ["Waiting to be sent", ["M12 7v5l3 2", "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0"]],
  sent: ["Sent", ["M5 13l4.500 4.500L19 7"]],
  delivered: ["Delivered", ["M2 13l4.500 4.500L15 8", "M10.500 16l1.500 1.500L22 7.500"]],
  failed: ["Not sent", ["M12 7v6", "M12 17h.01", "M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0"]],
};

export class Log {
  #scroll;
  #log;
  #toEnd;
  #me;
  #actions;
  #elements = new Map();
  #last = null;
  #missed = 0;
  #pinned = true;

  // actions: view(source, text) shows a picture; again(message) sends a failed one again.
  constructor({ scroll, log, toEnd, me, actions }) {
    this.#scroll = scroll;
    this.#log = log;
    this.#toEnd = toEnd;
    this.#me = me;
    this.#actions = actions;
    scroll.addEventListener("scroll", () => this.#scrolled());
    toEnd.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.#pinned && this.toEnd()).observe(scroll);
  }

  show(conversation) {
    this.#log.setAttribute("aria-live", "off"); // old messages are not news
    this.#elements.clear();
    this.#last = null;
    this.#log.replaceChildren();
    if (!conversation.messages.length) this.#log.append(empty(conversation));
    for (const message of conversation.messages) this.#add(message);
    this.toEnd();
    requestAnimationFrame(() => this.#log.setAttribute("aria-live", "polite"));
  }

  append(message) {
    this.#log.querySelector(".empty")?.remove();
    const follow = this.#pinned || message.from === this.#me;
    this.#add(message).classList.add("arrives");
    if (follow) return this.toEnd();
    this.#missed += 1;
    this.#toEnd.hidden = false;
    this.#toEnd.firstElementChild.textContent = `${this.#missed} new`;
  }

  update(message) {
    const old = this.#elements.get(message);
    if (!old) return;
    const fresh = this.#render(message);
    for (const name of ["follows", "more"]) fresh.classList.toggle(name, old.classList.contains(name));
    if (old.classList.contains("follows")) fresh.querySelector(".author")?.remove();
    this.#log.setAttribute("aria-live", "off");
    old.replaceWith(fresh);
    this.#elements.set(message, fresh);
    if (this.#pinned) this.toEnd();
    requestAnimationFrame(() => this.#log.setAttribute("aria-live", "polite"));
  }

  toEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#pinned = true;
    this.#missed = 0;
    this.#toEnd.hidden = true;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
    this.#pinned = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.#pinned) {
      this.#missed = 0;
      this.#toEnd.hidden = true;
    } else {
      if (!this.#missed) this.#toEnd.firstElementChild.textContent = "Newest";
      this.#toEnd.hidden = false;
    }
  }

  #add(message) {
    const before = this.#last;
    const element = this.#render(message);
    if (!before || !sameDay(before.at, message.at)) this.#log.append(make("div", { class: "day" }, day(message.at)));
    else if (before.from === message.from && message.at - before.at < GROUP_MS) {
      element.classList.add("follows");
      element.querySelector(".author")?.remove();
      this.#elements.get(before)?.classList.add("more");
    }
    this.#log.append(element);
    this.#elements.set(message, element);
    this.#last = message;
    return element;
  }

  #render(message) {
    const mine = message.from === this.#me;
    const body = make("div", { class: "message-body" });
    if (!mine) {
      const author = make("p", { class: "author", dir: "auto" }, message.from);
      author.style.setProperty("--hue", hue(message.from));
      body.append(author);
    } else body.append(make("span", { class: "hidden" }, "You: "));
    body.append(this.#bubble(message, mine));
    if (message.state === "failed") body.append(this.#failedNote(message));
    const classes = ["message", mine && "mine", ["failed", "waiting"].includes(message.state) && message.state];
    const attributes = { class: classes.filter(Boolean).join(" "), "data-id": message.id };
    return make("article", attributes, avatar(message.from), body);
  }

  #bubble(message, mine) {
    const bubble = make("div", { class: "bubble" });
    if (message.kind) {
      bubble.classList.add("has-picture");
      bubble.append(this.#picture(message));
    } else {
      bubble.append(...linked(message.text));
      if (EMOJI_ONLY.test(message.text)) bubble.classList.add("only-emoji");
    }
    bubble.append(meta(message, mine));
    return bubble;
  }

  #picture(message) {
    const text = `Picture from ${message.from}`;
    const image = make("img", { alt: text, src: message.source });
    const button = make("button", { class: "picture", type: "button", "aria-label": `${text}, show it in full` }, image);
    button.addEventListener("click", () => this.#actions.view(message.source, text));
    image.addEventListener("load", () => this.#pinned && this.toEnd());
    image.addEventListener("error", () => {
      const gone = message.source.startsWith("blob:") ? "cannot be shown" : "is no longer kept";
      button.replaceWith(make("div", { class: "picture-gone" }, `This picture ${gone}.`));
      if (this.#pinned) this.toEnd();
    });
    return button;
  }

  #failedNote(message) {
    const again = make("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => this.#actions.again(message));
    return make("div", { class: "failed-note" }, make("span", {}, message.error), again);
  }
}

function meta(message, mine) {
  const time = new Date(message.at);
  const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const element = make("span", { class: "meta" }, make("time", { datetime: time.toISOString() }, clock));
  if (mine) {
    const [label, paths] = TICKS[message.state];
    const tick = make("span", { class: "tick", "data-state": message.state, title: label });
    tick.append(icon(...paths), make("span", { class: "hidden" }, label));
    element.append(tick);
  }
  return element;
}

function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(/[.,;:!?)\]}]+$/, "");
    parts.push(text.slice(end, match.index));
    parts.push(make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
    end = match.index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}

function empty({ address, title }) {
  const room = address.startsWith("#");
  return make(
    "div",
    { class: "empty" },
    make("span", { class: "empty-mark", "aria-hidden": "true" }, room ? "#" : "@"),
    make("strong", { dir: "auto" }, room ? `It is quiet in ${title}` : `You and ${title}`),
    make("span", {}, room ? "Say hello, somebody will hear it." : "Only the two of you can read what is written here."),
  );
}

function sameDay(a, b) {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

function day(at) {
  const today = Date.now();
  if (sameDay(at, today)) return "Today";
  if (sameDay(at, today - 86_400_000)) return "Yesterday";
  return new Date(at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}
