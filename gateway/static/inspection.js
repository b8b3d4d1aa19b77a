// The inspection's page and the comparison of two: viewers and their tables of components, inspecting again.

import { api, toast } from "/static/app.js";
import { mounted } from "/static/viewer.js";

for (const swatch of document.querySelectorAll("[data-colour]")) swatch.style.setProperty("background-color", swatch.dataset.colour);

const stages = document.querySelector(".stages");
for (const bar of stages?.querySelectorAll("[data-took]") ?? []) {
  bar.style.setProperty("width", `${Math.min(100, (100 * Number(bar.dataset.took)) / Math.max(Number(stages.dataset.total), 1e-9))}%`);
}

/** A table whose rows light up their component in the viewer, and the other way round. */
async function join(element) {
  const name = element.id.replace(/^viewer-/, "");
  const rows = [...document.querySelectorAll(`.components[data-viewer="${name}"] tr[data-component]`)];
  const light = (index) => rows.forEach((row) => row.classList.toggle("lit", Number(row.dataset.component) === index));
  const viewer = await mounted(name, {
    keys: document.querySelectorAll(".viewer").length === 1 ? document : element,
    onHover: light,
    onPick: (index) => { light(index); rows[index]?.scrollIntoView({ block: "nearest" }); },
  });
  for (const row of rows) {
    const index = Number(row.dataset.component);
    const lit = (on) => { viewer.highlight(on ? index : -1); light(on ? index : -1); };
    row.addEventListener("pointerenter", () => lit(true));
    row.addEventListener("pointerleave", () => lit(false));
    row.addEventListener("focusin", () => lit(true));
    row.addEventListener("focusout", () => lit(false));
    row.addEventListener("click", () => viewer.focus(index));
  }
  element.dataset.ready = "true";
}
for (const element of document.querySelectorAll(".viewer[id]")) join(element).catch((error) => toast(error.message, true));

const id = JSON.parse(document.getElementById("inspection")?.textContent ?? "{}").id;

function submits(form, action) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      await action(new FormData(form));
    } catch (error) {
      toast(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}

submits(document.getElementById("again"), async (form) => {
  const text = form.get("recipe").trim();
  let recipe = {};
  try { recipe = text ? JSON.parse(text) : {}; } catch { throw new Error("the recipe overrides are not JSON"); }
  const made = await api(`/v1/inspections/${id}/reinspect`, { method: "POST", json: { release: form.get("release"), recipe } });
  location.assign(`/inspections/${id}/compare/${made.inspection_id}`);
});

submits(document.getElementById("ask"), async () => {
  await api(`/v1/inspections/${id}/review-request`, { method: "POST", json: { why: "asked on the inspection's page" } });
  const { go } = document.querySelector("#ask button").dataset;
  if (go) location.assign(go);
  else toast("It waits in the review queue.");
});
