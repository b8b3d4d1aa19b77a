// The recipe form: its fields and regions become overrides of the product's TOML; a preview follows each change.
import { api, element, toast } from "/static/app.js";

const model = JSON.parse(document.getElementById("model").textContent);
const form = document.getElementById("recipe");
const svg = document.getElementById("regions");
const SVG = "http://www.w3.org/2000/svg";
let moved = structuredClone(model.moved);

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;

/** What differs from the product's own recipe. */
function overrides() {
  const changes = {};
  for (const row of form.querySelectorAll("tr[data-class]")) {
    const limits = model.limits[row.dataset.class];
    const change = {};
    for (const input of row.querySelectorAll('input[type="number"]')) {
      const value = input.value === "" ? null : Number(input.value);
      if (value !== limits[input.name]) change[input.name] = value;
    }
    const forbidden = [...row.querySelectorAll('input[type="checkbox"]:checked')].map((box) => box.value);
    if (!same([...forbidden].sort(), [...limits.forbidden_regions].sort())) change.forbidden_regions = forbidden;
    if (Object.keys(change).length) changes[row.dataset.class] = change;
  }
  const regions = Object.fromEntries(Object.entries(moved).filter(([name, polygon]) => !same(polygon, model.polygons[name])));
  if (Object.keys(regions).length) changes.regions = regions;
  return changes;
}

/** Fill the form from overrides, such as an older version's. */
function load(changes) {
  for (const row of form.querySelectorAll("tr[data-class]")) {
    const limits = { ...model.limits[row.dataset.class], ...changes[row.dataset.class] };
    for (const input of row.querySelectorAll('input[type="number"]')) input.value = limits[input.name] ?? "";
    for (const box of row.querySelectorAll('input[type="checkbox"]')) box.checked = limits.forbidden_regions.includes(box.value);
  }
  moved = structuredClone({ ...model.polygons, ...changes.regions });
  draw();
  soon();
}

let timer;
let latest = 0;
function soon() {
  clearTimeout(timer);
  timer = setTimeout(preview, 300);
}

async function preview() {
  if (!form.checkValidity() && [...form.querySelectorAll("table input")].some((input) => !input.validity.valid)) return;
  const mine = ++latest;
  const outcome = document.getElementById("outcome");
  const detail = document.getElementById("detail");
  const tiles = document.getElementById("changed");
  try {
    const last = Number(document.getElementById("last").value) || 200;
    const found = await api(`/v1/products/${model.product}/recipes/preview`, { method: "POST", json: { overrides: overrides(), last } });
    if (mine !== latest) return; // a later change was faster
    const rejects = found.changed.filter((change) => change.after === "reject").length;
    outcome.textContent = found.judged ? `${found.changed.length} of ${found.judged} change` : "no inspections yet";
    detail.textContent = `${rejects} more rejected, ${found.changed.length - rejects} more accepted; rejected ${found.rejected_before} → ${found.rejected_after}` +
      (found.unreadable ? `; ${found.unreadable} left out, their mask is no longer kept` : "");
    tiles.replaceChildren(...found.changed.slice(0, 24).map(tile));
  } catch (error) {
    if (mine !== latest) return;
    outcome.textContent = "–";
    detail.textContent = error.message;
    tiles.replaceChildren();
  }
}

function tile(change) {
  const place = encodeURIComponent(change.inspection_id);
  return element("a", { className: "thumb", href: `/inspections/${place}` },
    element("img", { src: `/v1/inspections/${place}/thumbnail`, alt: change.inspection_id, loading: "lazy" }),
    element("span", { className: "caption", textContent: `${change.before} → ${change.after}` }),
    element("span", { className: "caption muted", textContent: change.reasons.join("; ") }));
}

/** Polygons, and a handle on each corner. */
function draw() {
  if (!svg) return;
  svg.replaceChildren();
  model.regions.forEach((name, index) => {
    const polygon = moved[name];
    const colour = `region-${index % 6}`;
    const shape = document.createElementNS(SVG, "polygon");
    shape.setAttribute("class", colour);
    const place = () => shape.setAttribute("points", polygon.map(([x, y]) => `${x * 1000},${y * 1000}`).join(" "));
    place();
    svg.append(shape);
    polygon.forEach((corner, number) => {
      const handle = document.createElementNS(SVG, "ellipse");
      handle.setAttribute("class", `corner ${colour}`);
      handle.setAttribute("tabindex", "0");
      handle.setAttribute("role", "slider");
      const box = svg.getBoundingClientRect();
      handle.setAttribute("rx", String(7000 / (box.width || 1000)));
      handle.setAttribute("ry", String(7000 / (box.height || 330)));
      const put = (x, y) => {
        corner[0] = round(x);
        corner[1] = round(y);
        handle.setAttribute("cx", String(corner[0] * 1000));
        handle.setAttribute("cy", String(corner[1] * 1000));
        handle.setAttribute("aria-label", `${name}, corner ${number + 1}`);
        handle.setAttribute("aria-valuetext", `${corner[0]}, ${corner[1]}`);
        place();
      };
      put(corner[0], corner[1]);
      handle.addEventListener("pointerdown", (event) => {
        handle.setPointerCapture(event.pointerId);
        handle.onpointermove = (move) => {
          const area = svg.getBoundingClientRect();
          put((move.clientX - area.left) / area.width, (move.clientY - area.top) / area.height);
        };
      });
      handle.addEventListener("pointerup", () => { handle.onpointermove = null; soon(); });
      handle.addEventListener("keydown", (event) => {
        const step = event.shiftKey ? 0.02 : 0.002;
        const [dx, dy] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
        if (!dx && !dy) return;
        event.preventDefault();
        put(corner[0] + dx, corner[1] + dy);
        soon();
      });
      svg.append(handle);
    });
  });
}

form.addEventListener("input", (event) => { if (event.target.id !== "why") soon(); });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fault = document.getElementById("fault");
  try {
    const saved = await api(`/v1/products/${model.product}/recipes`, {
      method: "POST",
      json: { overrides: overrides(), based_on: model.version, why: document.getElementById("why").value },
    });
    toast(`Version ${saved.version} is in force`);
    location.reload();
  } catch (error) { // what was typed stays
    fault.textContent = error.message;
    fault.hidden = false;
  }
});
document.getElementById("reset")?.addEventListener("click", () => { moved = structuredClone(model.polygons); draw(); soon(); });
for (const button of document.querySelectorAll("button.load")) {
  button.addEventListener("click", () => { load(JSON.parse(button.dataset.overrides)); scrollTo(0, 0); });
}
addEventListener("resize", draw);
document.querySelector("#stage img")?.addEventListener("load", draw);
draw();
preview();
