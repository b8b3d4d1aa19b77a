// Tools over a mask: what a press, a move and a release do to it.

import { flood, polygon, stroke } from "./mask.js";

export class Editor extends EventTarget {
  /** @param {(x: number, y: number) => number[]} colourAt  the photograph's RGB, for filling by likeness */
  constructor(mask, history, view, colourAt) {
    super();
    Object.assign(this, { mask, history, view, colourAt });
    this.tool = "brush";
    this.index = 1;
    this.size = 9;
    this.tolerance = 0;
    this.corners = [];
    this.last = null; // where the stroke in progress is
    this.erasing = false;
  }

  get value() {
    return this.tool === "eraser" || this.erasing ? 0 : this.index;
  }

  /** A press at p, in photograph pixels. */
  down(p, erase = false) {
    this.erasing = erase;
    if (this.tool === "fill") this.fill(p);
    else if (this.tool === "polygon") this.corner(p);
    else {
      this.history.begin();
      this.last = p;
      this.move([p]);
    }
  }

  /** The way since then, point by point. */
  move(points) {
    if (!this.last) return;
    this.#draw((span) => {
      for (const p of points) {
        stroke(this.mask, this.last, p, this.size, span);
        this.last = p;
      }
    });
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.#close();
  }

  /** A second finger came: that was no stroke. */
  cancel() {
    if (!this.last) return;
    this.last = null;
    this.erasing = false;
    if (this.history.end()) {
      this.view.changed(this.history.undo());
      this.history.undone.pop();
    }
  }

  fill(p) {
    const x = Math.floor(p.x), y = Math.floor(p.y), { mask } = this;
    if (x < 0 || y < 0 || x >= mask.width || y >= mask.height) return;
    const old = mask.data[y * mask.width + x], value = this.value;
    if (old === value) return;
    const like = this.tolerance > 0 ? this.#likeness(x, y) : () => true;
    this.history.begin();
    this.#draw((span) => flood(mask, x, y, (i) => mask.data[i] === old && like(i), span));
    this.#close();
  }

  corner(p) {
    const [first] = this.corners;
    if (this.corners.length > 2 && Math.hypot(p.x - first.x, p.y - first.y) * this.view.scale < 10) this.closePolygon();
    else {
      this.corners.push(p);
      this.#tell("sketch");
    }
  }

  closePolygon() {
    if (this.corners.length > 2) {
      this.history.begin();
      this.#draw((span) => polygon(this.mask, this.corners, span));
      this.#close();
    }
    this.dropPolygon();
  }

  dropPolygon(corners = this.corners.length) {
    this.corners.splice(this.corners.length - corners);
    this.#tell("sketch");
  }

  undo() {
    this.#travel(this.history.undo());
  }

  redo() {
    this.#travel(this.history.redo());
  }

  /** Another mask in the place of this one, as an edit that can be undone. */
  replace(data) {
    this.history.begin();
    for (let y = 0; y < this.mask.height; y++) this.history.touch(y, 0, this.mask.width);
    this.mask.data.set(data);
    this.view.changed();
    this.#close();
  }

  #likeness(x, y) {
    const wanted = this.colourAt(x, y), most = this.tolerance;
    return (i) => {
      const colour = this.colourAt(i % this.mask.width, Math.floor(i / this.mask.width));
      return colour.every((value, channel) => Math.abs(value - wanted[channel]) <= most);
    };
  }

  #draw(shape) {
    const box = { x0: Infinity, y0: Infinity, x1: 0, y1: 0 }, { data, width } = this.mask, value = this.value;
    shape((y, x0, x1) => {
      this.history.touch(y, x0, x1);
      data.fill(value, y * width + x0, y * width + x1);
      box.x0 = Math.min(box.x0, x0);
      box.y0 = Math.min(box.y0, y);
      box.x1 = Math.max(box.x1, x1);
      box.y1 = Math.max(box.y1, y + 1);
    });
    if (box.x0 < box.x1) {
      this.view.changed(box);
      this.#tell("painting");
    }
  }

  #close() {
    if (this.history.end()) this.#tell("edit");
    this.erasing = false;
  }

  #travel(box) {
    if (!box || this.last) return;
    this.view.changed(box);
    this.#tell("edit");
  }

  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}
