// The annotate page: puts the parts together and connects them with what is on the page.

import { api, localTimes, toast } from "../app.js";
import { Editor } from "./editor.js";
import { History } from "./history.js";
import { Keeper } from "./keeper.js";
import * as keys from "./keys.js";
import { Mask } from "./mask.js";
import * as pointer from "./pointer.js";
import { View } from "./view.js";

const work = JSON.parse(document.getElementById("work").textContent);
const $ = (id) => document.getElementById(id);
const all = (selector) => document.querySelectorAll(selector);
const STATES = { clean: "Nothing unsaved", changed: "Changed", saving: "Saving the draft …", kept: "Draft saved", failed: "The draft could not be saved; trying again" };

start().catch((error) => {
  $("state").textContent = error.message;
  toast(error.message, true);
});

async function start() {
  const mask = new Mask(work.width, work.height), base = work.draft ? work.draft.base : (work.newest?.id ?? null);
  const keeper = new Keeper(work.inspection, mask, base);
  const [photograph, data] = await Promise.all([picture(`/v1/inspections/${encodeURIComponent(work.inspection)}/image?format=png`), beginning(keeper)]);
  mask.data.set(data);
  const history = new History(mask);
  const view = new View($("stage"), $("sketch"), photograph, mask, work.classes.map((c) => c.colour));
  view.changed();
  const editor = new Editor(mask, history, view, reader(photograph));
  const page = controls(editor, view, keeper);
  pointer.listen($("stage"), view, editor, page.hover);
  keys.listen(page.table, $("stage"), editor, view, page);
  editor.addEventListener("edit", () => keeper.touch());
  editor.addEventListener("painting", () => editor.last && keeper.touch());
  keeper.addEventListener("state", () => {
    $("state").textContent = keeper.state === "failed" ? `${STATES.failed}: ${keeper.problem}` : STATES[keeper.state];
    $("state").dataset.state = keeper.state;
    $("discard").hidden = keeper.state !== "kept";
  });
  document.addEventListener("visibilitychange", () => document.hidden && keeper.keep());
  window.addEventListener("beforeunload", (event) => keeper.pending && event.preventDefault());
  $("state").textContent = work.draft ? "Your draft is back" : STATES.clean;
  $("stage").dataset.ready = "true";
}

/** What painting starts from: one's draft, the newest annotation, the prediction; failing that, nothing. */
async function beginning(keeper) {
  if (work.draft) return keeper.indices(`${keeper.place}/draft/indices`);
  if (work.newest) return keeper.indices(`/v1/annotations/${work.newest.id}/indices`);
  try {
    return await keeper.indices(`${keeper.place}/predicted`);
  } catch (error) {
    toast(`${error.message}; painting starts from an empty mask`, true);
    return new Uint8Array(work.width * work.height);
  }
}

async function picture(url) {
  const response = await api(url, { headers: { Accept: "image/png" } });
  return createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
}

/** The photograph's colours, read once, when first asked for. */
function reader(photograph) {
  let pixels = null;
  return (x, y) => {
    if (!pixels) {
      const context = new OffscreenCanvas(work.width, work.height).getContext("2d", { willReadFrequently: true });
      context.drawImage(photograph, 0, 0);
      pixels = context.getImageData(0, 0, work.width, work.height).data;
    }
    const at = (y * work.width + x) * 4;
    return [pixels[at], pixels[at + 1], pixels[at + 2]];
  };
}

function controls(editor, view, keeper) {
  const pressed = (selector, chosen) => all(selector).forEach((button) => button.setAttribute("aria-pressed", `${button === chosen}`));
  const page = {
    cursor: { x: work.width / 2, y: work.height / 2 },
    tool(name) {
      if (name !== "polygon") editor.dropPolygon();
      editor.tool = name;
      pressed("[data-tool]", document.querySelector(`[data-tool="${name}"]`));
      $("stage").dataset.tool = name;
      page.hover(page.cursor);
    },
    index(index) {
      if (index >= work.classes.length) return;
      editor.index = index;
      pressed("[data-class]", document.querySelector(`[data-class="${index}"]`));
      if (editor.tool === "eraser" || editor.tool === "pan") page.tool("brush");
    },
    size(step) {
      $("size").value = Math.round(editor.size * (step > 0 ? 1.25 : 0.8)) + (editor.size < 5 ? step : 0);
      $("size").dispatchEvent(new Event("input"));
    },
    opacity(step) {
      $("opacity").value = Math.round((view.opacity + step) * 100);
      $("opacity").dispatchEvent(new Event("input"));
    },
    show() {
      view.shown = !view.shown;
      $("show").setAttribute("aria-pressed", `${view.shown}`);
      view.refresh();
    },
    hover(p) {
      page.cursor = p;
      const x = Math.floor(p.x), y = Math.floor(p.y), inside = x >= 0 && y >= 0 && x < work.width && y < work.height;
      const index = editor.mask.data[y * work.width + x];
      $("where").textContent = inside ? `x ${x}, y ${y}: ${work.classes[index].name}` : "";
      const round = editor.tool === "brush" || editor.tool === "eraser";
      $("cursor").setAttribute("r", round ? editor.size / 2 : 0.5);
      $("cursor").setAttribute("cx", editor.size % 2 || !round ? x + 0.5 : Math.round(p.x));
      $("cursor").setAttribute("cy", editor.size % 2 || !round ? y + 0.5 : Math.round(p.y));
      sketch();
    },
    help: () => $("help").showModal(),
    save: () => save(keeper),
  };
  const sketch = () => {
    const points = editor.corners.length ? [...editor.corners, page.cursor] : [];
    $("corners").setAttribute("points", points.map((p) => `${p.x},${p.y}`).join(" "));
  };
  page.table = keys.shortcuts(editor, view, page);
  for (const [key, does] of page.table) $("keys").append(row(key, does));
  editor.addEventListener("sketch", sketch);
  const history = () => {
    $("undo").disabled = !editor.history.done.length;
    $("redo").disabled = !editor.history.undone.length;
  };
  editor.addEventListener("edit", history);
  view.onchange = () => ($("scale").textContent = `${Math.round(view.scale * 100)} %`);
  view.onchange();

  const click = (id, run) => $(id).addEventListener("click", run);
  all("[data-tool]").forEach((button) => button.addEventListener("click", () => page.tool(button.dataset.tool)));
  all("[data-class]").forEach((button) => button.addEventListener("click", () => page.index(Number(button.dataset.class))));
  all("[data-see]").forEach((box) =>
    box.addEventListener("change", () => {
      view.hidden[box.checked ? "delete" : "add"](Number(box.dataset.see));
      view.changed();
    }),
  );
  const slider = (id, set) =>
    $(id).addEventListener("input", () => {
      $(`${id}-is`).textContent = $(id).value;
      set(Number($(id).value));
    });
  slider("size", (value) => {
    editor.size = value;
    page.hover(page.cursor);
  });
  slider("tolerance", (value) => (editor.tolerance = value));
  slider("opacity", (value) => {
    view.opacity = value / 100;
    view.refresh();
  });
  click("undo", () => editor.undo());
  click("redo", () => editor.redo());
  click("show", page.show);
  click("in", () => view.zoom(1.5));
  click("out", () => view.zoom(1 / 1.5));
  click("fit", () => view.fit());
  click("one", () => view.zoom(1 / view.scale));
  click("ask", page.help);
  click("save", page.save);
  click("discard", async () => {
    try {
      await keeper.drop();
      window.location.reload();
    } catch (error) {
      toast(error.message, true);
    }
  });
  click("mine", async () => {
    $("conflict").close();
    keeper.base = Number($("mine").dataset.over); // theirs, that was shown: both stay in the history
    await page.save();
  });
  all("[data-load]").forEach((button) =>
    button.addEventListener("click", async () => {
      try {
        editor.replace(await keeper.indices(`/v1/annotations/${button.dataset.load}/indices`));
      } catch (error) {
        toast(error.message, true);
      }
    }),
  );
  history();
  page.hover(page.cursor);
  return page;
}

async function save(keeper) {
  $("save").disabled = true;
  try {
    const made = await keeper.save();
    toast(`Saved as annotation ${made.id}`);
    $("history").prepend(entry(made));
    localTimes($("history"));
    if ($("dataset")?.value) await into($("dataset").value);
  } catch (error) {
    if (error.status === 409) await conflict(keeper).catch((again) => toast(again.message, true));
    else toast(error.message, true);
  } finally {
    $("save").disabled = false;
  }
}

async function conflict(keeper) {
  const theirs = await keeper.newest();
  $("conflict-text").textContent = `${theirs.author} saved annotation ${theirs.id} at ${new Date(theirs.created).toLocaleString()}, after this work began.`;
  $("theirs").href = `/v1/annotations/${theirs.id}/mask`;
  $("mine").dataset.over = theirs.id;
  $("conflict").showModal();
}

async function into(dataset) {
  const result = await api(`/v1/datasets/${dataset}/items`, { method: "POST", json: { inspections: [work.inspection] } });
  if (result.refused.length) toast(result.refused[0].why, true);
  else toast(result.renewed ? "Its mask in the data set is renewed" : "Added to the data set");
}

function row(key, does) {
  const line = document.createElement("tr"), kbd = document.createElement("kbd");
  kbd.textContent = key;
  line.insertCell().append(kbd);
  line.insertCell().textContent = does;
  return line;
}

function entry(made) {
  const line = document.createElement("tr"), time = document.createElement("time"), link = document.createElement("a");
  time.dateTime = made.created;
  link.href = `/v1/annotations/${made.id}/mask`;
  link.textContent = "PNG";
  line.insertCell().textContent = made.id;
  line.insertCell().textContent = made.author;
  line.insertCell().append(time);
  line.insertCell().append(link);
  line.insertCell();
  return line;
}
