// Forms and buttons of the data set pages: each names the REST route that it calls.

import { api, toast } from "./app.js";

/** Fields to JSON: what is empty is left out, filter.x goes into a filter, shares.x into shares (percent). */
function read(form) {
  const body = {};
  for (const [name, value] of new FormData(form)) {
    const text = value.trim(), [group, key] = name.split(".");
    if (key === undefined && text) body[name] = name === "inspections" ? text.split(/[\s,]+/) : text;
    if (group === "shares") (body.shares ??= {})[key] = Number(text) / 100;
    if (group === "filter") {
      body.filter ??= {};
      if (text) body.filter[key] = text;
    }
  }
  return { ...body, ...JSON.parse(form.dataset.with ?? "{}") };
}

function told(result) {
  if (result?.added === undefined) return null;
  const lines = [`${result.added} added`, `${result.renewed} renewed`, `${result.refused.length} refused`];
  const why = [...new Set(result.refused.map((refused) => refused.why))];
  return lines.join(", ") + (why.length ? `: ${why.slice(0, 3).join("; ")}` : "") + (result.more ? ". There may be more: add again" : "");
}

async function send(element, method, json) {
  const button = element.matches("button") ? element : element.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    const result = await api(element.dataset.url, json === undefined ? { method } : { method, json });
    const text = told(result);
    if (text) sessionStorage.setItem("told", text);
    if (element.dataset.then === "open") window.location.assign(`/datasets/${result.id}`);
    else window.location.reload();
  } catch (error) {
    toast(error.message, true);
    button.disabled = false;
  }
}

document.querySelectorAll("form[data-url]").forEach((form) =>
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, "POST", read(form));
  }),
);
document.querySelectorAll("button[data-url]").forEach((button) =>
  button.addEventListener("click", () => {
    if (!button.dataset.sure || window.confirm(button.dataset.sure)) send(button, button.dataset.method ?? "POST");
  }),
);
document.querySelectorAll("button[data-copy]").forEach((button) =>
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    toast("Copied");
  }),
);

const before = sessionStorage.getItem("told");
if (before) {
  sessionStorage.removeItem("told");
  toast(before, / [1-9]\d* refused/.test(before));
}
