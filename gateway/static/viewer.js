// A photograph with its mask over it: zoom and pan to single pixels, opacity, classes, fill or outline, raw beside it.
//
//   const viewer = await view(element, { image, mask, classes, components, onHover, onPick });
//   viewer.highlight(3);
//
// or {% from "_viewer.html" import viewer %}{{ viewer("name", {...}) }}, then: const shown = await mounted("name").

import { element as make } from "/static/app.js";
import { openSeadragon } from "/static/openseadragon.js";
import { componentAt, outlines, readMask, tinted } from "/static/viewer-mask.js";

const OPACITIES = [0.25, 0.45, 0.7, 1];
const HELP = "Keys: + and − zoom, 0 shows all, arrows move, m mask on or off, f fill or outline, o opacity";

/**
 * Show a photograph in `element`.
 * @param {object} given
 * @param {string} given.image URL that browsers can show, such as /v1/inspections/ID/image?format=png
 * @param {string|null} [given.mask] URL of the indexed mask; null shows the photograph alone
 * @param {{name: string, colour: string}[]} [given.classes] by index; the first is the background
 * @param {{box: number[]}[]} [given.components] boxes in mask pixels: left, top, width, height
 * @param {string} [given.label] what a screen reader says it is
 * @param {EventTarget} [given.keys] where keys are heard: the element, or document
 * @param {(index: number) => void} [given.onHover] a component's index, -1 when the pointer leaves it
 * @param {(index: number) => void} [given.onPick] a component was clicked
 */
export async function view(element, given) {
  const Library = await openSeadragon();
  const { classes = [], components = [], label = "Photograph", keys = element, onHover = () => {}, onPick = () => {} } = given;
  const state = { opacity: 0.45, outline: false, on: true, side: false, lit: -1, hovered: -1 };
  const shown = new Set(classes.map((_, index) => index).slice(1));
  let mask = null, canvasOfMask = null, paths = new Map();

  const main = make("div", { className: "viewer-pane" });
  const beside = make("div", { className: "viewer-pane", hidden: true });
  const panes = make("div", { className: "viewer-panes" }, main, beside);
  const fault = make("p", { className: "viewer-fault note", role: "status", hidden: true });
  const bar = make("div", { className: "viewer-bar", role: "group", ariaLabel: `${label}: display` });
  element.classList.add("viewer");
  element.replaceChildren(bar, panes, fault);

  const open = (pane, name) => {
    const made = Library({
      element: pane, tileSources: { type: "image", url: given.image }, drawer: "canvas", showNavigationControl: false,
      maxZoomPixelRatio: 48, minZoomImageRatio: 0.8, visibilityRatio: 0.5, animationTime: 0.25, springStiffness: 12,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true }, zoomPerScroll: 1.3,
    });
    made.canvas.setAttribute("aria-label", `${name}. ${HELP}`);
    made.canvas.setAttribute("role", "img");
    made.addHandler("canvas-key", (event) => { // its f would flip the photograph, its r turn it
      event.preventDefaultAction = !event.originalEvent.key.startsWith("Arrow");
    });
    const sharp = () => {
      const item = made.world.getItemAt(0);
      if (item) made.drawer.setImageSmoothingEnabled(item.viewportToImageZoom(made.viewport.getZoom()) < 2);
    };
    made.addHandler("zoom", sharp);
    made.addHandler("open-failed", () => complain("the photograph cannot be shown; perhaps it is no longer kept"));
    return made;
  };
  const complain = (text) => { fault.textContent = text; fault.hidden = false; };

  const osd = open(main, label);
  let raw = null;
  const over = make("canvas", { className: "viewer-over", ariaHidden: "true" });
  osd.canvas.append(over);

  /** Where the photograph lies now, in CSS pixels of the pane. */
  function place() {
    const item = osd.world.getItemAt(0);
    if (!item) return null;
    const size = item.getContentSize();
    const from = item.imageToViewerElementCoordinates(new Library.Point(0, 0));
    const to = item.imageToViewerElementCoordinates(new Library.Point(size.x, size.y));
    return { x: from.x, y: from.y, width: to.x - from.x, height: to.y - from.y };
  }

  function draw() {
    const at = place();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [main.clientWidth, main.clientHeight];
    if (over.width !== Math.round(width * ratio) || over.height !== Math.round(height * ratio)) {
      [over.width, over.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    }
    const context = over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!at || !mask) return;
    const [across, down] = [at.width / mask.width, at.height / mask.height];
    if (state.on && !state.outline) {
      context.globalAlpha = state.opacity;
      context.imageSmoothingEnabled = false;
      context.drawImage(canvasOfMask, at.x, at.y, at.width, at.height);
    } else if (state.on) {
      context.globalAlpha = Math.min(1, state.opacity + 0.3);
      context.lineWidth = 2;
      for (const [index, path] of paths) {
        if (!shown.has(index)) continue;
        const moved = new Path2D();
        moved.addPath(path, new DOMMatrix([across, 0, 0, down, at.x, at.y]));
        context.strokeStyle = classes[index]?.colour ?? "#ffffff";
        context.stroke(moved);
      }
    }
    context.globalAlpha = 1;
    const lit = components[state.lit];
    if (lit) {
      const [left, top, wide, high] = lit.box;
      const box = [at.x + left * across - 5, at.y + top * down - 5, wide * across + 10, high * down + 10];
      for (const [colour, line] of [["#000000", 5], ["#ffffff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = line;
        context.strokeRect(...box);
      }
    }
  }

  const repaint = () => {
    if (mask) canvasOfMask = tinted(mask, classes, shown);
    draw();
  };

  // --- what the buttons and keys do ---
  const actions = {
    zoom: (factor) => { osd.viewport.zoomBy(factor); osd.viewport.applyConstraints(); },
    home: () => osd.viewport.goHome(),
    setOpacity: (opacity) => { state.opacity = opacity; if (slider) slider.value = opacity; draw(); },
    setOutline: (outline) => { state.outline = outline; press(outlineButton, outline); draw(); },
    setMaskOn: (on) => { state.on = on; press(maskButton, on); draw(); },
    setShown: (index, on) => { shown[on ? "add" : "delete"](index); press(legend.get(index), on); repaint(); },
    setSide: (side) => {
      state.side = side;
      press(sideButton, side);
      beside.hidden = !side;
      panes.classList.toggle("both", side);
      if (side && !raw) { raw = open(beside, `${label}, without mask`); follow(osd, raw); follow(raw, osd); }
      if (side) requestAnimationFrame(() => copy(osd, raw));
    },
    /** Frame a component by its index; -1 for none. */
    highlight: (index) => { if (state.lit !== index) { state.lit = index; draw(); } },
    /** Go to a component. */
    focus: (index) => {
      const item = osd.world.getItemAt(0), found = components[index];
      if (!item || !mask || !found) return;
      const size = item.getContentSize(), across = size.x / mask.width, down = size.y / mask.height;
      const [left, top, width, height] = found.box, around = 24;
      const box = [(left - around) * across, (top - around) * down, (width + 2 * around) * across, (height + 2 * around) * down];
      osd.viewport.fitBounds(item.imageToViewportRectangle(...box));
      actions.highlight(index);
    },
    /** Show another mask, by its URL. */
    setMask: async (url) => {
      mask = await readMask(url);
      paths = outlines(mask);
      repaint();
    },
    destroy: () => { watcher.disconnect(); keys.removeEventListener("keydown", heard); osd.destroy(); raw?.destroy(); element.replaceChildren(); },
  };

  const press = (button, on) => button?.setAttribute("aria-pressed", String(on));
  const button = (text, title, action, pressed = null) =>
    make("button", { type: "button", title, ariaLabel: title, ariaPressed: pressed, onclick: action }, text);
  const hasMask = given.mask !== null && given.mask !== undefined;
  const maskButton = button("Mask", "Mask on or off (m)", () => actions.setMaskOn(!state.on), true);
  const outlineButton = button("Outline", "Outline instead of fill (f)", () => actions.setOutline(!state.outline), false);
  const sideButton = button("Side by side", "The photograph beside it, without mask", () => actions.setSide(!state.side), false);
  const slider = make("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: state.opacity, oninput: (event) => actions.setOpacity(Number(event.target.value)) });
  const legend = new Map();
  bar.append(
    button("−", "Zoom out (−)", () => actions.zoom(1 / 1.5)),
    button("+", "Zoom in (+)", () => actions.zoom(1.5)),
    button("All", "Show all of it (0)", actions.home),
  );
  if (hasMask) {
    bar.append(maskButton, outlineButton, sideButton, make("label", { className: "inline" }, "Opacity", slider));
    classes.forEach(({ name, colour }, index) => {
      if (index === 0) return;
      const swatch = make("span", { className: "swatch" });
      swatch.style.setProperty("background-color", colour);
      const toggle = make("button", { type: "button", className: "viewer-class", ariaPressed: "true", onclick: () => actions.setShown(index, !shown.has(index)) }, swatch, ` ${name}`);
      legend.set(index, toggle);
      bar.append(toggle);
    });
  }

  // --- keys and pointer ---
  function heard(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, [contenteditable]")) return;
    const step = OPACITIES[(OPACITIES.findIndex((value) => value >= state.opacity - 1e-9) + 1) % OPACITIES.length];
    const action = {
      "+": () => actions.zoom(1.5), "=": () => actions.zoom(1.5), "-": () => actions.zoom(1 / 1.5), 0: actions.home,
      ...(hasMask && { o: () => actions.setOpacity(step), f: () => actions.setOutline(!state.outline), m: () => actions.setMaskOn(!state.on) }),
    }[event.key];
    if (action) { event.preventDefault(); action(); }
  }
  keys.addEventListener("keydown", heard);

  const under = (event) => {
    const at = place();
    if (!at || !mask) return -1;
    const edge = main.getBoundingClientRect();
    const x = ((event.clientX - edge.left - at.x) / at.width) * mask.width;
    const y = ((event.clientY - edge.top - at.y) / at.height) * mask.height;
    return componentAt(components, x, y);
  };
  const hover = (index) => {
    if (index === state.hovered) return;
    state.hovered = index;
    actions.highlight(index);
    onHover(index);
  };
  main.addEventListener("pointermove", (event) => hover(under(event)));
  main.addEventListener("pointerleave", () => hover(-1));
  osd.addHandler("canvas-click", ({ quick, originalEvent }) => { if (quick && under(originalEvent) >= 0) onPick(under(originalEvent)); });

  // --- both panes as one ---
  let copying = false;
  const copy = (from, to) => {
    if (copying || !to.world.getItemCount()) return;
    copying = true;
    to.viewport.zoomTo(from.viewport.getZoom(), null, true);
    to.viewport.panTo(from.viewport.getCenter(), true);
    copying = false;
  };
  const follow = (from, to) => {
    from.addHandler("viewport-change", () => { if (state.side) copy(from, to); });
    to.addHandler("open", () => copy(from, to));
  };

  osd.addHandler("update-viewport", draw);
  osd.addHandler("open", draw);
  const watcher = new ResizeObserver(() => requestAnimationFrame(draw));
  watcher.observe(main);
  const opened = new Promise((resolve) => { osd.addOnceHandler("open", resolve); osd.addOnceHandler("open-failed", resolve); });
  if (hasMask) await actions.setMask(given.mask).catch((error) => complain(error.message));
  await opened;
  draw();
  return { ...actions, state };
}

/** The viewer that `_viewer.html` put into the page under this name. */
export function mounted(name, more = {}) {
  const given = JSON.parse(document.getElementById(`viewer-${name}-data`).textContent);
  return view(document.getElementById(`viewer-${name}`), { ...given, ...more });
}
