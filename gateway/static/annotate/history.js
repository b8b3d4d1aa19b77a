// Undo and redo: of each edit the tiles that it touched, as they were. Bounded; the oldest are forgotten first.

const TILE = 64;

export class History {
  constructor(mask, bytes = 48 * 1024 * 1024) {
    this.mask = mask;
    this.bytes = bytes;
    this.columns = Math.ceil(mask.width / TILE);
    this.done = [];
    this.undone = [];
    this.open = null;
  }

  begin() {
    this.open = new Map();
  }

  /** Before pixels x0..x1 of row y change: keep the tiles that they lie in. */
  touch(y, x0, x1) {
    const row = Math.floor(y / TILE) * this.columns;
    for (let tile = row + Math.floor(x0 / TILE); tile <= row + Math.floor((x1 - 1) / TILE); tile++) {
      if (!this.open.has(tile)) this.open.set(tile, this.#read(tile));
    }
  }

  /** The edit is over. False if it changed nothing. */
  end() {
    const edit = this.open ?? new Map();
    this.open = null;
    for (const [tile, old] of edit) {
      const now = this.#read(tile);
      if (now.every((value, i) => value === old[i])) edit.delete(tile);
    }
    if (!edit.size) return false;
    this.done.push(edit);
    this.undone = [];
    while (this.size > this.bytes && this.done.length > 1) this.done.shift();
    return true;
  }

  get size() {
    return this.done.reduce((sum, edit) => sum + edit.size * TILE * TILE, 0);
  }

  /** The rectangle that changed, or null if there is nothing to undo. */
  undo() {
    return this.#swap(this.done, this.undone);
  }

  redo() {
    return this.#swap(this.undone, this.done);
  }

  #swap(from, to) {
    const edit = from.pop();
    if (!edit) return null;
    const changed = { x0: Infinity, y0: Infinity, x1: 0, y1: 0 };
    for (const [tile, old] of edit) {
      const { x0, y0, x1, y1 } = this.#box(tile);
      edit.set(tile, this.#read(tile));
      for (let y = y0; y < y1; y++) this.mask.data.set(old.subarray((y - y0) * (x1 - x0), (y - y0 + 1) * (x1 - x0)), y * this.mask.width + x0);
      changed.x0 = Math.min(changed.x0, x0);
      changed.y0 = Math.min(changed.y0, y0);
      changed.x1 = Math.max(changed.x1, x1);
      changed.y1 = Math.max(changed.y1, y1);
    }
    to.push(edit);
    return changed;
  }

  #box(tile) {
    const x0 = (tile % this.columns) * TILE, y0 = Math.floor(tile / this.columns) * TILE;
    return { x0, y0, x1: Math.min(x0 + TILE, this.mask.width), y1: Math.min(y0 + TILE, this.mask.height) };
  }

  #read(tile) {
    const { x0, y0, x1, y1 } = this.#box(tile), width = x1 - x0, kept = new Uint8Array(width * (y1 - y0));
    for (let y = y0; y < y1; y++) kept.set(this.mask.data.subarray(y * this.mask.width + x0, y * this.mask.width + x1), (y - y0) * width);
    return kept;
  }
}
