// Charts by uPlot, in the page's colours (they follow dark mode) and as wide as their place.

import uPlot from "./vendor/uPlot.esm.js";

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

export const axis = (more) => ({
  stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 }, ...more,
});

/**
 * uPlot in `place`, made anew when the colours change.
 * @param make () => [uPlot's options but its size, its data]
 * @returns () => the uPlot that is there now
 */
export function drawn(place, height, make) {
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const [options, data] = make();
    plot = new uPlot({ width: place.clientWidth, height, ...options }, data, place);
  };
  draw();
  new ResizeObserver(() => {
    if (place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height });
  }).observe(place);
  dark.addEventListener("change", draw);
  return () => plot;
}

/**
 * A chart over time.
 * @param place where it goes
 * @param series [{label, colour: "--accent", bars: true, value: (v) => text}]
 * @param options {height, unit: (v) => text of the axis, sync: key of the charts whose cursors go together}
 * @returns {show(columns)} columns: seconds since 1970, then one list a series
 */
export function chart(place, series, { height = 200, unit = String, sync = null, least = 0 } = {}) {
  let columns = [[], ...series.map(() => [])];

  const step = () => columns[0].length > 1 ? columns[0][1] - columns[0][0] : 0; // the last bar needs its place, too

  function options() {
    const bars = uPlot.paths.bars({ size: [0.85, 40], align: 1 });
    return {
      cursor: { sync: sync ? { key: sync } : {}, drag: { x: false, y: false } },
      scales: { x: { range: (_, low, high) => [low, high + step()] }, y: { range: (_, low, high) => [0, Math.max(high * 1.1, least)] } },
      axes: [axis(), axis({ size: 56, values: (_, ticks) => ticks.map(unit) })],
      series: [
        { value: (_, at) => at === null ? "–" : new Date(at * 1000).toLocaleTimeString(undefined, { timeStyle: "short" }), label: "Time" },
        ...series.map((one) => ({
          label: one.label,
          stroke: colour(one.colour),
          fill: one.bars ? colour(one.colour) : undefined,
          width: one.bars ? 0 : 2,
          paths: one.bars ? bars : undefined,
          points: { show: !one.bars, size: 4, fill: colour(one.colour) },
          value: (_, value) => value === null ? "–" : one.value(value),
        })),
      ],
    };
  }

  const plot = drawn(place, height, () => [options(), columns]);
  return {
    show(next) {
      columns = next;
      plot().setData(columns);
    },
  };
}
