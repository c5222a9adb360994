// What this tab knows: conversations by address ("#lobby", "@Bob") and their messages.

const KEPT = 300;

export class Conversation {
  messages = [];
  unread = 0;
  draft = "";
  typing = new Map(); // name -> timer

  constructor(address, title) {
    this.address = address;
    this.title = title;
  }

  get isRoom() {
    return this.address.startsWith("#");
  }

  // By the server's id, or by the one its author gave it.
  find(id, cid) {
    return this.messages.find((message) => message.id === id || (cid && message.cid === cid));
  }

  add(message) {
    this.messages.push(message);
    if (this.messages.length > KEPT) forget(this.messages.shift());
    return message;
  }

  // Take in what the server has; return the messages that were not known here. What this tab
  // has and the server has not (it was restarted, or it is still to be sent) stays.
  merge(history, convert) {
    const fresh = [];
    for (const theirs of history) {
      const known = this.find(theirs.id, theirs.cid);
      if (!known) fresh.push(convert(theirs));
      else if (theirs.got) known.state = "delivered";
    }
    this.messages.push(...fresh);
    this.messages.sort((a, b) => rank(a) - rank(b));
    return fresh;
  }
}

export class Conversations {
  #all = new Map();
  rooms = [];

  get(address) {
    let found = this.#all.get(address);
    if (!found) {
      const title = this.rooms.find((room) => room.address === address)?.title ?? address.slice(1);
      found = new Conversation(address, title);
      this.#all.set(address, found);
    }
    return found;
  }

  known(address) {
    return this.#all.get(address);
  }

  privates() {
    return [...this.#all.values()].filter((conversation) => !conversation.isRoom);
  }

  unread() {
    return [...this.#all.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
  }
}

// Messages that wait come last, in the order they were written.
function rank(message) {
  return message.id ? message.at : message.at + 1e15;
}

function forget(message) {
  if (message.source?.startsWith("blob:")) URL.revokeObjectURL(message.source);
}
