// New request: files are put into a held batch one by one, then the batch is told to go.

import { api, csrf, element } from "./app.js";

const AT_ONCE = 3;
const SHOWN = 200; // rows; more files are counted, not listed

const at = (id) => document.getElementById(id);
const form = at("request");
let chosen = []; // {file, row, bar, state, sent: bytes}

// --- choosing ---------------------------------------------------------------------------------------------------------

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function add(files) {
  for (const file of files) {
    const bar = element("progress", { max: 1, value: 0, ariaLabel: `Upload of ${file.name}` });
    const row = element("li", {}, element("span", { className: "name", textContent: file.name, title: file.name }),
      element("span", { className: "size", textContent: size(file.size) }), bar);
    if (chosen.length < SHOWN) at("list").append(row);
    chosen.push({ file, row, bar, state: "chosen", sent: 0 });
  }
  count();
}

function count() {
  const bytes = chosen.reduce((sum, one) => sum + one.file.size, 0);
  at("chosen").hidden = !chosen.length;
  at("chosen").firstElementChild.textContent = `${chosen.length.toLocaleString()} photograph${chosen.length === 1 ? "" : "s"}, ${size(bytes)}`;
}

function mark(one, state, why = "") {
  one.state = state;
  if (state === "stored") one.bar.replaceWith(element("span", { className: "badge good", textContent: "uploaded" }));
  if (state === "refused") one.bar.replaceWith(element("span", { className: "badge reject", textContent: "refused" }));
  if (why) one.row.append(element("span", { className: "why", textContent: why }));
  if (why) at("list").prepend(one.row); // what needs attention comes first, listed or not
}

at("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
at("clear").addEventListener("click", () => { chosen = []; at("list").replaceChildren(); count(); });
for (const name of ["dragenter", "dragover"]) at("drop").addEventListener(name, (event) => { event.preventDefault(); at("drop").classList.add("over"); });
for (const name of ["dragleave", "drop"]) at("drop").addEventListener(name, () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", (event) => { event.preventDefault(); add(event.dataTransfer.files); });

// --- product and recipe -----------------------------------------------------------------------------------------------

function table() {
  return form.querySelector(`[data-recipe="${CSS.escape(form.product.value)}"]`);
}

function chooseProduct() {
  for (const one of form.querySelectorAll("[data-recipe]")) one.hidden = one !== table();
  for (const option of form.release.options) option.hidden = option.disabled = Boolean(option.dataset.product) && option.dataset.product !== form.product.value;
  form.release.value = "";
  overrides();
}

/** What differs from the product's recipe: {class: {limit: number, null or names}}. */
function overrides() {
  const changed = {};
  for (const row of table()?.querySelectorAll("[data-class]") ?? []) {
    const limits = {};
    for (const input of row.querySelectorAll("[data-limit]")) {
      const value = input.value === "" ? (input.dataset.limit === "ignore_below_um2" ? 0 : null) : input.valueAsNumber;
      const differs = value !== JSON.parse(input.dataset.default);
      input.classList.toggle("changed", differs);
      if (differs) limits[input.dataset.limit] = value;
    }
    const regions = [...row.querySelectorAll("[data-region]")];
    if (regions.some((box) => box.checked !== box.defaultChecked)) limits.forbidden_regions = regions.filter((box) => box.checked).map((box) => box.dataset.region);
    if (Object.keys(limits).length) changed[row.dataset.class] = limits;
  }
  const names = Object.entries(changed).map(([label, limits]) => `${label}: ${Object.keys(limits).join(", ").replaceAll("_", " ")}`);
  at("changes").hidden = !names.length;
  at("changes").textContent = `Changed for these photographs only: ${names.join("; ")}`;
  return changed;
}

form.product.addEventListener("change", chooseProduct);
form.querySelector(".recipe").addEventListener("input", overrides);
chooseProduct();

// --- sending ----------------------------------------------------------------------------------------------------------

function upload(batch, number, one) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of an upload's progress
    request.open("PUT", `/v1/batches/${batch}/images/${number}?name=${encodeURIComponent(one.file.name)}`);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      one.sent = event.loaded;
      one.bar.value = event.loaded / Math.max(1, event.total);
      progress();
    });
    request.addEventListener("loadend", () => {
      one.sent = one.file.size;
      let why = "the connection broke";
      try { why = JSON.parse(request.responseText).detail ?? why; } catch { /* no answer of ours */ }
      if (request.status === 201) mark(one, "stored");
      else mark(one, "refused", why.replace(`${one.file.name}: `, ""));
      progress();
      resolve();
    });
    request.send(one.file);
  });
}

function progress() {
  const bytes = chosen.reduce((sum, one) => sum + one.file.size, 0);
  at("all").value = bytes ? chosen.reduce((sum, one) => sum + one.sent, 0) / bytes : 1;
  const over = chosen.filter((one) => one.state !== "chosen").length;
  at("told").textContent = over < chosen.length ? `${over} of ${chosen.length} uploaded` : "sending to the line";
}

async function uploadAll(batch, first) {
  let next = 0;
  const worker = async () => {
    while (next < chosen.length) {
      const place = next++;
      await upload(batch, first + place, chosen[place]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function send() {
  const text = (name) => form[name].value.trim() || null;
  const uris = (text("uris") ?? "").split("\n").map((line) => line.trim()).filter(Boolean);
  if (!chosen.length && !uris.length && !text("folder")) throw new Error("Choose photographs, or name a folder or URIs.");
  const wanted = {
    product: form.product.value, release: text("release"), priority: form.priority.value, lot: text("lot"), head_id: text("head_id"),
    names: text("names"), recipe: overrides(), uris, folder: text("folder"), hold: true,
  };
  const batch = await api("/v1/batches", { method: "POST", json: wanted });
  at("sending").hidden = false;
  progress();
  await uploadAll(batch.id, batch.counts.photographs + 1);
  const refused = chosen.filter((one) => one.state === "refused").length;
  if (refused === chosen.length && !batch.counts.photographs) throw new Error("None of these files is a photograph of this product; why is told at each of them.");
  await api(`/v1/batches/${batch.id}/send`, { method: "POST" });
  if (!refused) return location.assign(`/requests/${batch.id}`);
  at("onward").hidden = false;
  at("onward").replaceChildren(`${refused} of ${chosen.length} files refused, the others are on their way.`, " ",
    element("a", { className: "button primary", href: `/requests/${batch.id}`, textContent: "See the batch" }));
  at("told").textContent = "sent";
  at("onward").lastElementChild.focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  at("fault").hidden = at("onward").hidden = true;
  at("send").disabled = true;
  try {
    await send();
    at("send").hidden = true;
  } catch (error) {
    at("fault").textContent = error.message;
    at("fault").hidden = at("sending").hidden = false;
    at("sending").hidden = true;
    at("send").disabled = false;
    const failed = chosen.map((one) => one.file);
    chosen = [];
    if (failed.length && at("list").querySelector(".why")) return count();
    at("list").replaceChildren();
    add(failed);
  }
});
