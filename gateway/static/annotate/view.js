// What is seen: the photograph, the mask over it, both scaled by one transform. Only what changed is drawn again.

import { opaque } from "../viewer-mask.js";

export class View {
  /**
   * @param canvas  shown; its backing store has the screen's pixels
   * @param overlay  SVG above it, in photograph pixels: cursor and unfinished polygon
   * @param photograph  ImageBitmap
   * @param colours  "#rrggbb" of each class
   */
  constructor(canvas, overlay, photograph, mask, colours) {
    Object.assign(this, { canvas, overlay, photograph, mask });
    this.screen = canvas.getContext("2d", { alpha: false });
    this.layer = new OffscreenCanvas(mask.width, mask.height);
    this.paint = this.layer.getContext("2d");
    this.palette = colours.map((colour, index) => (index ? opaque(colour) : 0));
    this.hidden = new Set();
    this.opacity = 0.5;
    this.shown = true;
    this.scale = 1;
    this.x = this.y = 0;
    this.stale = null;
    this.onchange = () => {};
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
    this.fit();
  }

  /** Screen (CSS pixels, from the canvas' corner) to photograph. */
  toPhotograph(x, y) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / this.scale };
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas, ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (width === this.canvas.width && height === this.canvas.height) return;
    Object.assign(this.canvas, { width, height });
    this.ratio = ratio;
    this.moved();
  }

  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    this.scale = Math.min(clientWidth / this.mask.width, clientHeight / this.mask.height) || 1;
    this.x = (clientWidth - this.mask.width * this.scale) / 2;
    this.y = (clientHeight - this.mask.height * this.scale) / 2;
    this.moved();
  }

  /** Zoom by a factor about a point of the screen. */
  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(64, Math.max(0.1, this.scale * factor)), real = scale / this.scale;
    this.x = x - (x - this.x) * real;
    this.y = y - (y - this.y) * real;
    this.scale = scale;
    this.moved();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.moved();
  }

  /** Bring a point of the photograph onto the screen. */
  reveal(p) {
    const { clientWidth, clientHeight } = this.canvas, sx = p.x * this.scale + this.x, sy = p.y * this.scale + this.y;
    const dx = Math.max(20 - sx, 0) + Math.min(clientWidth - 20 - sx, 0), dy = Math.max(20 - sy, 0) + Math.min(clientHeight - 20 - sy, 0);
    if (dx || dy) this.pan(dx, dy);
  }

  moved() {
    this.overlay.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
    this.refresh();
    this.onchange();
  }

  /** The mask changed within a rectangle (of the whole, without one). */
  changed(box = { x0: 0, y0: 0, x1: this.mask.width, y1: this.mask.height }) {
    this.#colour(box);
    this.refresh(box);
  }

  /** Draw again, at the next frame, what lies within a rectangle. */
  refresh(box = { x0: -Infinity, y0: -Infinity, x1: Infinity, y1: Infinity }) {
    if (this.stale) {
      for (const low of ["x0", "y0"]) this.stale[low] = Math.min(this.stale[low], box[low]);
      for (const high of ["x1", "y1"]) this.stale[high] = Math.max(this.stale[high], box[high]);
      return;
    }
    this.stale = { ...box };
    requestAnimationFrame(() => this.#draw());
  }

  #colour({ x0, y0, x1, y1 }) {
    const image = new ImageData(x1 - x0, y1 - y0), pixels = new Uint32Array(image.data.buffer);
    const palette = this.palette.map((colour, index) => (this.hidden.has(index) ? 0 : colour));
    for (let y = y0, i = 0; y < y1; y++) {
      for (let at = y * this.mask.width + x0, end = at + x1 - x0; at < end; at++) pixels[i++] = palette[this.mask.data[at]];
    }
    this.paint.putImageData(image, x0, y0);
  }

  #draw() {
    const { screen, mask, stale } = this, scale = this.scale * this.ratio;
    this.stale = null;
    screen.save();
    screen.setTransform(scale, 0, 0, scale, this.x * this.ratio, this.y * this.ratio);
    if (Number.isFinite(stale.x0)) {
      const edge = 1 + 1 / scale; // smoothing reaches a pixel further
      screen.beginPath();
      screen.rect(stale.x0 - edge, stale.y0 - edge, stale.x1 - stale.x0 + 2 * edge, stale.y1 - stale.y0 + 2 * edge);
      screen.clip();
    } else {
      screen.save();
      screen.resetTransform();
      screen.fillStyle = "#20262c";
      screen.fillRect(0, 0, this.canvas.width, this.canvas.height);
      screen.restore();
    }
    screen.imageSmoothingEnabled = scale < 1;
    screen.drawImage(this.photograph, 0, 0, mask.width, mask.height);
    if (this.shown) {
      screen.globalAlpha = this.opacity;
      screen.drawImage(this.layer, 0, 0);
    }
    screen.restore();
  }
}
