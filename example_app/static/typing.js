// Tell others that this person writes: once every two seconds, and when it ends.

const AGAIN_MS = 2000;
const IDLE_MS = 4000;

export class Typing {
  #textarea;
  #tell;
  #toldAt = 0;
  #idle;

  constructor(textarea, tell) {
    this.#textarea = textarea;
    this.#tell = tell;
    textarea.addEventListener("input", () => this.#changed());
  }

  stop() {
    clearTimeout(this.#idle);
    if (!this.#toldAt) return;
    this.#toldAt = 0;
    this.#tell(false);
  }

  #changed() {
    if (!this.#textarea.value.trim()) return this.stop();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stop(), IDLE_MS);
    if (Date.now() - this.#toldAt < AGAIN_MS) return;
    this.#toldAt = Date.now();
    this.#tell(true);
  }
}
