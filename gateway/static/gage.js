// Judging a gage study: one part at a time, by keyboard or by thumb. What the model said is not even sent here.

import { api } from "./app.js";
import { openSeadragon } from "./openseadragon.js";

const byId = (id) => document.getElementById(id);
let place = JSON.parse(byId("place").textContent);
let at = placeOf(place.done); // what is before us: the next one, or the one before it
let busy = false;

const viewer = (await openSeadragon())({
  element: byId("stage"), showNavigationControl: false, animationTime: 0.2, maxZoomPixelRatio: 16, minZoomImageRatio: 1,
  imageSmoothingEnabled: false, visibilityRatio: 1, gestureSettingsMouse: { clickToZoom: false },
});
viewer.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; }); // its keys are ours
viewer.addHandler("open-failed", () => { fault("This part's photograph is no longer kept. Tell who began the study."); });

function placeOf(index) {
  const bounded = Math.max(0, Math.min(index, place.trials * place.parts - 1));
  return { index: bounded, trial: Math.floor(bounded / place.parts) + 1, position: (bounded % place.parts) + 1 };
}

const imageOf = ({ trial, position }) => `/v1/studies/${place.study}/trials/${trial}/positions/${position}/image`;

function fault(text) {
  byId("fault").textContent = text;
  byId("fault").hidden = !text;
}

function show() {
  const over = place.closed || at === null;
  byId("desk").hidden = over;
  byId("finished").hidden = !over;
  byId("progress").value = place.done;
  byId("trial").textContent = over ? place.trials : at.trial;
  byId("position").textContent = over ? place.parts : at.position;
  if (over) {
    byId("status").textContent = byId("finished-title").textContent;
    return;
  }
  viewer.open({ type: "image", url: imageOf(at) });
  byId("status").textContent = `Trial ${at.trial}, part ${at.position} of ${place.parts}`;
  for (const button of document.querySelectorAll("[data-do=back]")) button.disabled = place.done === 0 || at.index < place.done;
  const next = at.index + 1;
  if (next <= place.done + 1 && next < place.trials * place.parts) new Image().src = imageOf(placeOf(next));
}

async function judge(verdict) {
  if (busy || at === null || place.closed) return;
  busy = true;
  fault("");
  try {
    place = await api(`/v1/studies/${place.study}/ratings`, { method: "POST", json: { trial: at.trial, position: at.position, verdict } });
    at = place.finished ? null : placeOf(place.done);
    show();
  } catch (error) {
    fault(error.message);
  } finally {
    busy = false;
  }
}

function back() {
  if (busy || place.done === 0 || place.closed || (at && at.index < place.done)) return;
  at = placeOf(place.done - 1);
  show();
}

const does = {
  accept: () => judge("accept"),
  reject: () => judge("reject"),
  back,
  in: () => viewer.viewport?.zoomBy(1.5).applyConstraints(),
  out: () => viewer.viewport?.zoomBy(1 / 1.5).applyConstraints(),
  whole: () => viewer.viewport?.goHome(),
};
const keys = { a: "accept", r: "reject", u: "back", "+": "in", "=": "in", "-": "out", 0: "whole" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest?.("input, select, textarea")) return;
  const wanted = keys[event.key.toLowerCase()];
  if (wanted) {
    event.preventDefault();
    does[wanted]();
  }
});
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => does[button.dataset.do]());

if (place.finished) at = null;
show();
