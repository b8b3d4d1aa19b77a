// The list of inspections: its count, short links, saved filters.

import { api, toast } from "/static/app.js";

const count = document.getElementById("count");
api(`/v1/inspections.count?${count.dataset.query}`)
  .then((found) => { count.textContent = `${found.count.toLocaleString()}${found.at_least ? " or more" : ""} found`; })
  .catch((error) => { count.textContent = error.message; });

document.getElementById("filter").addEventListener("formdata", ({ formData }) => { // what asks nothing stays out of the link
  for (const [name, value] of [...formData]) if (!value) formData.delete(name);
});

document.getElementById("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = new FormData(event.target).get("name").trim();
  const { query } = event.target.querySelector("button").dataset;
  try {
    await api(`/v1/links/${encodeURIComponent(name)}?${query}`, { method: "PUT" });
    location.reload();
  } catch (error) {
    toast(error.message, true);
  }
});

for (const button of document.querySelectorAll("[data-forget]")) {
  button.addEventListener("click", async () => {
    try {
      await api(`/v1/links/${encodeURIComponent(button.dataset.forget)}`, { method: "DELETE" });
      button.closest("li").remove();
    } catch (error) {
      toast(error.message, true);
    }
  });
}
