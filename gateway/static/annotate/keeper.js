// The way to the server: a draft soon after every edit, a saved annotation when asked.

import { api } from "../app.js";

const QUIET = 800; // ms after the last edit
const LATEST = 3000; // ms after the first unsaved one, however busy the hand is
const AGAIN = 5000; // ms after a failure

export class Keeper extends EventTarget {
  /** @param {number | null} base  id of the annotation that the work began with */
  constructor(inspection, mask, base) {
    super();
    Object.assign(this, { mask, base });
    this.place = `/v1/inspections/${encodeURIComponent(inspection)}/annotations`;
    this.state = "clean"; // changed, saving, kept, failed
    this.edits = this.kept = 0;
    this.timer = this.since = null;
    this.sending = Promise.resolve();
  }

  get pending() {
    return this.edits !== this.kept;
  }

  /** Something was painted. */
  touch() {
    this.edits++;
    this.since ??= performance.now();
    this.#after(Math.min(QUIET, Math.max(0, this.since + LATEST - performance.now())));
    if (this.state !== "saving") this.#tell("changed");
  }

  /** Send the draft now, after whatever is on its way. */
  keep() {
    clearTimeout(this.timer);
    this.since = null;
    this.sending = this.sending.then(() => this.#keep());
    return this.sending;
  }

  async #keep() {
    if (!this.pending) return;
    const edits = this.edits;
    this.#tell("saving");
    try {
      await this.#send("PUT", "/draft", this.base);
      this.kept = edits;
      this.#tell(this.pending ? "changed" : "kept");
    } catch (error) {
      this.problem = error.message;
      this.#tell("failed");
      this.#after(AGAIN);
    }
  }

  /** Save as the newest annotation; rejects with the problem's text, and then the draft has the work. */
  async save() {
    await this.keep();
    const saved = this.sending.then(() => this.#save());
    this.sending = saved.catch(() => {});
    return saved;
  }

  async #save() {
    const edits = this.edits, made = await this.#send("POST", "", this.base);
    this.base = made.id;
    if (edits === this.edits) {
      clearTimeout(this.timer);
      this.since = null;
      this.kept = edits;
      this.#tell("clean");
    }
    return made;
  }

  newest() {
    return api(`${this.place}/newest`);
  }

  async indices(url) {
    const response = await api(url, { cache: "no-store" }), data = new Uint8Array(await response.arrayBuffer());
    if (data.length !== this.mask.data.length) throw new Error(`a mask of ${data.length} bytes came, ${this.mask.data.length} were due`);
    return data;
  }

  async drop() {
    clearTimeout(this.timer);
    await this.sending;
    await api(`${this.place}/draft`, { method: "DELETE" });
    this.kept = this.edits;
    this.#tell("clean");
  }

  #send(method, path, base) {
    const headers = { "Content-Type": "application/octet-stream", "X-Mask-Width": `${this.mask.width}`, "X-Mask-Height": `${this.mask.height}` };
    if (base !== null) headers["X-Annotation-Base"] = `${base}`;
    return api(this.place + path, { method, headers, body: this.mask.data.slice() });
  }

  #after(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.keep(), wait);
  }

  #tell(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
