// The line's page: shows what the page came with, then what /events tells.

import { api, element, toast } from "./app.js";
import { chart } from "./chart.js";
import { thumbnail } from "./thumbnails.js";

const SHOWN = 12;
const PICTURES_AT_ONCE = 4; // a second: drawing a thumbnail costs the line's machine some milliseconds
const QUEUES = { high: "Requests, high", normal: "Requests, normal", low: "Requests, low", record: "To be recorded", decisions: "Decisions not fetched", invalid: "Invalid not fetched", dead: "Dead letters" };

const state = JSON.parse(document.getElementById("state").textContent);
const at = (id) => document.getElementById(id);
const whole = (value) => value.toLocaleString();
const share = (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;

function figure(name, value, unit = "", mood = "") {
  const place = document.querySelector(`[data-figure="${name}"]`);
  place.replaceChildren(value, ...(unit ? [element("small", { textContent: unit })] : []));
  if (place.classList.contains("big")) place.className = `big ${mood}`;
}

function duration(ms) {
  return ms === null ? ["–", ""] : ms < 1000 ? [ms < 10 ? ms.toFixed(1) : String(Math.round(ms)), "ms"] : [(ms / 1000).toFixed(1), "s"];
}

function showPulse({ figures, parts, depths, alerts }) {
  at("away").hidden = figures !== null;
  if (figures) {
    const decided = figures.hour_accepted + figures.hour_rejected;
    figure("rate", figures.rate < 10 ? figures.rate.toFixed(figures.rate ? 2 : 0) : figures.rate.toFixed(1));
    figure("rate-note", `${whole(decided)} in the last hour`);
    figure("reject", figures.reject_rate === null ? "–" : (100 * figures.reject_rate).toFixed(1), figures.reject_rate === null ? "" : "%");
    figure("reject-note", decided ? `${whole(figures.hour_rejected)} of ${whole(decided)}, last hour` : "of the last hour");
    figure("p50", ...duration(figures.p50_ms));
    const latency = (ms) => duration(ms).join(" ").trim();
    figure("latency-note", figures.p50_ms === null ? "median, read to answer" : `median; p95 ${latency(figures.p95_ms)}, mean ${latency(figures.mean_ms)}`);
  }
  const known = Object.keys(depths).length > 0;
  const waiting = ["high", "normal", "low"].reduce((sum, name) => sum + (depths[name] ?? 0), 0);
  figure("waiting", known ? whole(waiting) : "–");
  figure("waiting-note", known ? "requests at the broker" : parts.find((part) => part.name === "Broker")?.state === "absent" ? "no broker is set" : "the broker is away");
  if (alerts) figure("alerts", whole(alerts.open), "", alerts.unacknowledged ? "bad" : alerts.open ? "" : "good");
  at("queues").hidden = at("queues-title").hidden = !known;
  at("queues").replaceChildren(...Object.entries(depths).flatMap(([name, depth]) => [
    element("dt", { textContent: QUEUES[name] ?? name }), element("dd", { textContent: whole(depth) }),
  ]));
  at("parts").replaceChildren(...parts.map((part) => element("li", {},
    element("span", { className: `badge ${part.state}`, textContent: part.state }),
    element("span", {}, element("b", { textContent: part.name }), element("span", { className: "muted", textContent: part.detail })),
  )));
}

// --- the last decisions -----------------------------------------------------------------------------------------------

let known = state.decisions.slice(0, SHOWN);
let seq = state.decisions[0]?.seq ?? 0;
let waiting = [];
let shownAt = 0;
let later = null;

function showDecisions() {
  at("empty").hidden = known.length > 0;
  at("newest").hidden = known.length === 0;
  const there = new Map([...at("decisions").children].map((child) => [child.dataset.id, child]));
  at("decisions").replaceChildren(...known.map((brief) => there.get(brief.id) ?? thumbnail(brief)));
  for (const child of at("decisions").children) child.classList.toggle("fresh", there.size > 0 && !there.has(child.dataset.id));
}

function flush() {
  later = null;
  shownAt = Date.now();
  at("sampled").hidden = waiting.length <= PICTURES_AT_ONCE;
  known = [...waiting.slice(0, PICTURES_AT_ONCE), ...known].slice(0, SHOWN);
  waiting = [];
  showDecisions();
}

function decided(briefs) {
  const fresh = briefs.filter((brief) => brief.seq > seq);
  if (!fresh.length) return;
  seq = fresh[0].seq;
  waiting = [...fresh, ...waiting];
  later ??= setTimeout(flush, Math.max(0, shownAt + 1000 - Date.now()));
}

// --- charts -----------------------------------------------------------------------------------------------------------

const persec = (value) => value.toFixed(value < 10 ? 2 : 1);
const throughput = chart(at("throughput"), [
  { label: "Images per second", colour: "--accent", bars: true, value: persec },
  { label: "of them rejected", colour: "--reject", bars: true, value: persec },
], { sync: "line", least: 0.05, unit: (v) => `${+v.toFixed(3)}/s` });
const rejects = chart(at("rejects"), [
  { label: "Reject rate", colour: "--reject", value: share },
], { sync: "line", height: 150, least: 0.02, unit: (v) => `${+(100 * v).toFixed(1)} %` });
let period = "hour";
let rates = state.rates;

function showRates() {
  if (!rates) return;
  const { times, accepted, rejected, mean_ms, step_s } = rates;
  const counted = times.map((_, i) => accepted[i] + rejected[i]);
  const rate = counted.map((n, i) => n ? rejected[i] / n : null);
  const seconds = times.map((time) => Math.min(step_s, Math.max(5, Date.now() / 1000 - time))); // the last step has just begun
  throughput.show([times, counted.map((n, i) => n / seconds[i]), rejected.map((n, i) => n / seconds[i])]);
  rejects.show([times, rate]);
  if (!at("numbers").open) return;
  at("numbers").querySelector("tbody").replaceChildren(...times.map((time, i) => element("tr", {},
    element("th", { scope: "row", textContent: new Date(time * 1000).toLocaleTimeString(undefined, { timeStyle: "short" }) }),
    ...[whole(accepted[i]), whole(rejected[i]), rate[i] === null ? "–" : share(rate[i]), duration(mean_ms[i]).join(" ")]
      .map((text) => element("td", { className: "number", textContent: text })),
  )).reverse());
}

async function choose(wanted) {
  period = wanted;
  for (const button of document.querySelectorAll("[data-period]")) button.ariaPressed = String(button.dataset.period === wanted);
  try {
    rates = await api(`/v1/line/rates?period=${wanted}`);
    showRates();
  } catch (error) {
    toast(error.message, true);
  }
}

for (const button of document.querySelectorAll("[data-period]")) button.addEventListener("click", () => choose(button.dataset.period));
at("numbers").addEventListener("toggle", showRates);
setInterval(() => period === "day" && !document.hidden && choose("day"), 60_000);

// --- live -------------------------------------------------------------------------------------------------------------

let stream = null;

function live(text, kind) {
  at("live").textContent = text;
  at("live").className = `badge ${kind}`;
}

function listen() {
  stream = new EventSource(`/events?after=${seq}`);
  stream.addEventListener("open", () => live("live", "up"));
  stream.addEventListener("pulse", (event) => showPulse(JSON.parse(event.data)));
  stream.addEventListener("decisions", (event) => decided(JSON.parse(event.data)));
  stream.addEventListener("rates", (event) => {
    if (period !== "hour") return;
    rates = JSON.parse(event.data);
    showRates();
  });
  stream.addEventListener("error", () => {
    live("not live, trying again", "warning");
    if (stream.readyState === EventSource.CLOSED) setTimeout(again, 10_000); // refused: the browser does not try again by itself
  });
}

async function again() {
  const answer = await fetch("/v1/line").catch(() => null);
  if (answer?.status === 401) location.reload(); // to the sign-in page and back
  else listen();
}

// A browser opens six connections to a site at most: what nobody looks at gives its own back.
document.addEventListener("visibilitychange", () => {
  stream?.close();
  if (!document.hidden) listen();
});

showPulse(state.pulse);
showDecisions();
showRates();
listen();
