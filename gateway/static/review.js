// The review desk: one item at a time, by keyboard or by thumb. What a blind item hides is not even sent here.

import { api, element, toast } from "./app.js";
import { view } from "./viewer.js";

const byId = (id) => document.getElementById(id);
const root = byId("review");
const say = (text) => { byId("status").textContent = text; };

/** When the reviewer's day began. */
const midnight = () => new Date(new Date().setHours(0, 0, 0, 0)).toISOString();

const panes = new Map(); // inspection -> {place, viewer}: the one before us, and the next one, ready behind it
const deaf = new EventTarget(); // keys are heard here, not by the viewers
let item = null;
let then = null;
let last = null;
let phase = "loading"; // judging, reason, sending, told, failed, empty
let answer = null; // what the model said, once it may be known
let viewer = null; // of the photograph before us
let photograph = 0; // which one of the part's
let liked = true; // whether the mask is wanted, where it may be seen at once
let again = false;
let since = 0;
let look = 0; // which look at the queue is the latest

const onward = byId("onward");
onward.checked = localStorage.getItem("review.onward") === "1";
onward.addEventListener("change", () => localStorage.setItem("review.onward", onward.checked ? "1" : "0"));

// --- what lies before us ----------------------------------------------------------------------------------------------

/** What the queue has for us; `first` before all others if it still is ours. */
function deal(first) {
  const query = new URLSearchParams({ since: midnight() });
  if (root.dataset.product) query.set("product", root.dataset.product);
  if (first) query.set("first", first);
  if (again) query.set("again", "true");
  return api(`/v1/reviews/next?${query}`);
}

/** Asks what is next; `first` stays before us if it still is ours. */
async function lookAtQueue(first) {
  const mine = ++look;
  let hand;
  try {
    hand = await deal(first);
  } catch (error) {
    if (mine === look) fail(error.message);
    return;
  }
  if (mine !== look) return; // judged on since: a later look is under way
  count(hand.progress);
  last = hand.last;
  then = hand.then;
  if (!hand.item) {
    if (again) { again = false; await lookAtQueue(); } else rest(hand.progress);
  } else if (item?.inspection_id !== hand.item.inspection_id || !["judging", "reason"].includes(phase)) {
    show(hand.item);
  }
  if (then) pane(then);
  enable();
}

function count(progress) {
  const capped = (n) => (n >= 1000 ? "1,000+" : String(n));
  byId("left").textContent = capped(progress.left);
  byId("done").textContent = capped(progress.done_today);
  byId("mine").textContent = capped(progress.mine_today);
}

/** A viewer of one of an item's photographs, hidden until it is its turn. */
function pane(of, number = 0) {
  if (!panes.has(of.inspection_id)) {
    const place = element("div", { className: "pane" });
    byId("stage").append(place);
    const label = `Photograph of ${of.product}`;
    const given = { image: of.images[number], mask: of.answer?.masks[number] ?? null, classes: of.palette, label, keys: deaf };
    const made = view(place, given).then((shown) => { shown.setOutline(true); return shown; });
    panes.set(of.inspection_id, { place, viewer: made });
  }
  return panes.get(of.inspection_id);
}

function drop(inspection) {
  const dropped = panes.get(inspection);
  panes.delete(inspection);
  dropped?.viewer.then((made) => made.destroy()).catch(() => {}).finally(() => dropped.place.remove());
}

function show(next) {
  item = next;
  answer = next.answer;
  photograph = 0;
  phase = "judging";
  since = performance.now();
  byId("empty").hidden = true;
  byId("desk").hidden = false;
  byId("fault").hidden = true;
  byId("comment").value = "";
  const facts = [item.product, item.head_id && `head ${item.head_id}`, item.lot && `lot ${item.lot}`, new Date(item.created).toLocaleString()];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  byId("disagreed").hidden = !item.disagreed;
  byId("onwards").hidden = !item.blind;
  byId("choices").replaceChildren(...item.choices.map(choice));
  tell(null);
  enable();
  draw();
  say(`${item.product}${item.head_id ? `, head ${item.head_id}` : ""}: accept or reject?`);
}

function choice(name, index) {
  const digit = digitOf(index);
  const button = element("button", { type: "button" }, name, " ");
  if (digit !== null) button.append(element("kbd", { textContent: digit }));
  button.addEventListener("click", () => submit("reject", name));
  return button;
}

/** The last choice, Other, is 0; the others count from 1. */
function digitOf(index) {
  if (index === item.choices.length - 1) return "0";
  return index < 9 ? String(index + 1) : null;
}

/** Puts the item's photograph before us, with its mask if that may be seen and is wanted. */
async function draw() {
  const [drawn, number] = [item, photograph];
  const { place, viewer: made } = pane(drawn, number);
  for (const other of panes.values()) other.place.classList.toggle("shown", other.place === place);
  for (const inspection of panes.keys()) if (![drawn, then].some((kept) => kept?.inspection_id === inspection)) drop(inspection);
  byId("stage").dataset.inspection = drawn.inspection_id;
  byId("which").textContent = drawn.images.length > 1 ? `photograph ${number + 1} of ${drawn.images.length}` : "";
  viewer = null;
  try {
    const ready = await made;
    if (item !== drawn || photograph !== number) return;
    viewer = ready;
    viewer.setMaskOn(drawn.blind || liked);
  } catch (error) {
    fail(error.message);
  }
  enable();
}

/** The mask of what was judged blind. */
async function unveil() {
  const [drawn, masks] = [item, answer.masks];
  const ready = await pane(drawn, photograph).viewer;
  await ready.setMask(masks[photograph]).catch((error) => toast(error.message, true));
  enable();
}

/** The next photograph of the part. */
function turn() {
  photograph = (photograph + 1) % item.images.length;
  drop(item.inspection_id);
  draw();
  if (item.blind && answer) unveil();
}

/** Nothing to do, and why. */
function rest(progress) {
  item = then = answer = null;
  phase = "empty";
  byId("desk").hidden = true;
  byId("empty").hidden = false;
  byId("fault").hidden = true;
  byId("held").hidden = !progress.held;
  byId("held").textContent = `${progress.held} ${progress.held === 1 ? "is" : "are"} before other reviewers just now.`;
  byId("again").hidden = !progress.skipped;
  byId("again").textContent = `Look at the ${progress.skipped} that you skipped`;
  say("Nothing waits for you.");
}

// --- judging ----------------------------------------------------------------------------------------------------------

async function submit(verdict, reason = null) {
  const judged = item;
  const comment = byId("comment").value.trim() || null;
  const seconds = Math.min(86400, Math.round((performance.now() - since) / 100) / 10);
  phase = "sending";
  look++; // what was asked before is out of date
  enable();
  let told;
  try {
    told = await api("/v1/reviews", { method: "POST", json: { inspection_id: judged.inspection_id, verdict, reason, comment, seconds } });
  } catch (error) {
    fail(error.message); // the comment stays
    return;
  }
  last = judged.inspection_id;
  answer = told.answer;
  if (verdict !== "skip" && judged.blind && !onward.checked) {
    phase = "told";
    tell(told);
    enable();
    unveil();
    say(sentence(told));
    lookAhead();
  } else {
    if (verdict !== "skip") toast(sentence(told));
    next();
  }
}

/** While the answer is read: what comes next. */
async function lookAhead() {
  const mine = ++look;
  const hand = await deal().catch(() => null);
  if (!hand || mine !== look) return;
  count(hand.progress);
  then = hand.item;
  if (then) pane(then);
}

function next() {
  const ready = then;
  then = null;
  if (ready) show(ready);
  lookAtQueue(ready?.inspection_id);
}

async function undo() {
  if (!last) { toast("There is nothing of yours to take back."); return; }
  const before = phase;
  phase = "sending";
  enable();
  try {
    await api(`/v1/reviews/${encodeURIComponent(last)}`, { method: "DELETE" });
  } catch (error) {
    phase = before;
    toast(error.message, true);
    enable();
    return;
  }
  toast("Taken back: judge it again.");
  item = null;
  await lookAtQueue(last);
}

function sentence(told) {
  const you = `You: ${told.review.verdict}${told.review.reason ? ` (${told.review.reason})` : ""}. `;
  return `${you}Model: ${told.answer.decision}. ${told.agrees ? "You agree." : "You disagree."}`;
}

/** The model's answer, and after a judgement what came of it; null before a blind one. */
function tell(told) {
  byId("blind").hidden = Boolean(answer);
  byId("answer").hidden = !answer;
  if (!answer) return;
  byId("decision").textContent = answer.decision;
  byId("decision").className = `badge ${answer.decision}`;
  byId("sure").textContent = `confidence ${(100 * answer.confidence).toFixed(1)} %, ${answer.release}, reviewed as ${answer.why}`;
  byId("reasons").replaceChildren(...answer.reasons.map(line));
  byId("others").replaceChildren(...item.others.map((o) => line(`${o.reviewer}: ${o.verdict}${o.reason ? ` (${o.reason})` : ""}${o.comment ? `, “${o.comment}”` : ""}`)));
  byId("agrees").hidden = byId("came").hidden = !told;
  if (!told) return;
  byId("agrees").className = `badge ${told.agrees ? "good" : "warning"}`;
  byId("agrees").textContent = told.agrees ? `You: ${told.review.verdict}. You agree` : `You: ${told.review.verdict}. You disagree`;
  byId("came").textContent = { open: "It waits for a second reviewer.", disagreed: "The reviewers differ: an expert decides.", done: `Done: ${told.verdict}.` }[told.state];
}

function line(text) {
  return element("li", { textContent: text });
}

function fail(text) {
  phase = item ? "failed" : "empty";
  byId("fault").textContent = text;
  byId("fault").hidden = false;
  enable();
}

// --- by keyboard and by thumb -----------------------------------------------------------------------------------------

const can = {
  accept: () => ["judging", "reason", "failed"].includes(phase),
  reject: () => ["judging", "reason", "failed"].includes(phase),
  skip: () => ["judging", "reason", "failed"].includes(phase),
  next: () => ["told", "failed"].includes(phase),
  undo: () => Boolean(last) && phase !== "sending",
  mask: () => Boolean(viewer && answer),
};

const does = {
  accept: () => submit("accept"),
  reject: () => { phase = phase === "reason" ? "judging" : "reason"; },
  skip: () => submit("skip"),
  next,
  undo,
  mask: () => {
    viewer.setMaskOn(!viewer.state.on);
    if (!item.blind) liked = viewer.state.on;
  },
};

function act(name) {
  if (can[name]()) {
    does[name]();
    enable();
  } else if (name === "mask" && item?.blind) {
    toast("Blind: the mask shows when you have judged.");
  } else if (name === "next" && phase === "judging") {
    toast("Judge it first, or skip it with S.");
  }
}

/** Shows what can be done now. */
function enable() {
  for (const button of document.querySelectorAll("[data-do]")) button.disabled = !can[button.dataset.do]();
  byId("reject").hidden = phase !== "reason";
  document.querySelector('[data-do="reject"]').setAttribute("aria-expanded", String(phase === "reason"));
  document.querySelector('[data-do="mask"]').setAttribute("aria-pressed", String(Boolean(answer && viewer?.state.on)));
}

const keys = { a: "accept", r: "reject", s: "skip", u: "undo", m: "mask", n: "next", " ": "next" };

const views = {
  "+": () => viewer.zoom(1.5), "=": () => viewer.zoom(1.5), "-": () => viewer.zoom(1 / 1.5), 0: () => viewer.home(),
  f: () => viewer.setOutline(!viewer.state.outline),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || byId("keys").open) return;
  const target = event.target;
  if (target.matches("input:not([type=checkbox]), textarea, select")) {
    if (target.id === "comment" && ["Enter", "Escape"].includes(event.key)) { event.preventDefault(); byId("stage").focus(); }
    return;
  }
  const key = event.key.toLowerCase();
  if (key === " " && target.matches("button, a, input")) return; // theirs
  if (phase === "reason" && /^\d$/.test(key)) {
    const index = item.choices.findIndex((_, i) => digitOf(i) === key);
    if (index >= 0) submit("reject", item.choices[index]);
  } else if (phase === "reason" && key === "escape") {
    act("reject");
  } else if (key === "?") {
    byId("keys").showModal();
  } else if (key === "c" && item) {
    byId("comment").focus();
  } else if (key === "v" && item?.images.length > 1) {
    turn();
  } else if (views[key] && viewer) {
    views[key]();
  } else if (keys[key]) {
    act(keys[key]);
  } else {
    return;
  }
  event.preventDefault();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => {
    act(button.dataset.do);
    byId("stage").focus({ preventScroll: true }); // else the next Space would press it again
  });
}
byId("choices").addEventListener("click", () => byId("stage").focus({ preventScroll: true }));
byId("stage").addEventListener("click", (event) => {
  enable(); // the viewer has a button for the mask, too
  if (event.detail && event.target.closest("button")) byId("stage").focus({ preventScroll: true });
});
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("again").addEventListener("click", () => { again = true; lookAtQueue(); });
byId("filter").addEventListener("change", () => byId("filter").submit());
setInterval(() => { if (phase === "empty" && !document.hidden) lookAtQueue(); }, 15000);

await lookAtQueue(root.dataset.item);
if (root.dataset.item && item && item.inspection_id !== root.dataset.item) {
  toast("That inspection is not yours to judge now: it is done, before somebody else, or judged by you already.", true);
}
