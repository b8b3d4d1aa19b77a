// Draws <div data-chart="ID"> from the JSON in <script id="ID">, as sections arrive; see gateway/accuracy/charts.py.

import { axis, colour, drawn } from "./chart.js";

const HEIGHT = 240;
const UNITS = {
  percent: (value) => `${(100 * value).toFixed(1)} %`,
  number: (value) => Number(value.toPrecision(3)).toString(),
};

function options(spec) {
  const unit = UNITS[spec.unit];
  return {
    cursor: { drag: { x: true, y: false } },
    scales: { x: { range: (_, low, high) => spec.x.length === 1 ? [low - 43200, low + 43200] : [low, high] }, y: { range: (_, low, high) => {
      const room = Math.max((high - low) * 0.08, spec.unit === "percent" ? 0.005 : 0.01);
      return [low >= 0 ? Math.max(0, low - room) : low - room, spec.unit === "percent" && high <= 1 ? Math.min(1.005, high + room) : high + room];
    } } },
    axes: [axis(), axis({ size: 62, values: (_, ticks) => ticks.map(unit) })],
    bands: spec.bands.map((pair) => ({ series: pair, fill: `${colour(spec.series[pair[0] - 1].colour)}26` })),
    series: [
      { label: "Time", value: (_, at) => at === null ? "–" : new Date(at * 1000).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }) },
      ...spec.series.map((one) => ({
        label: one.label,
        class: one.style,
        stroke: colour(one.colour),
        width: { line: 2, dash: 1.5, faint: 0.5, edge: 0.5, dots: 0 }[one.style],
        dash: one.style === "dash" ? [6, 4] : undefined,
        paths: one.style === "dots" ? () => null : undefined,
        points: { show: one.style === "dots" || one.style === "line", size: one.style === "dots" ? 9 : 4, fill: colour(one.colour) },
        value: (_, value) => value === null ? "–" : unit(value),
      })),
    ],
  };
}

function draw(place) {
  const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", spec.label);
  drawn(place, HEIGHT, () => [options(spec), [spec.x, ...spec.series.map((one) => one.values)]]);
}

function drawAll(root) {
  for (const place of root.querySelectorAll("[data-chart]:not([role])")) draw(place);
}

document.addEventListener("htmx:afterSettle", (event) => drawAll(event.target));
drawAll(document);
