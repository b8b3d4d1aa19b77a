// A mask: one byte a pixel, its class index. What is drawn on it is drawn here, never read back from a canvas.

export class Mask {
  /** @param {Uint8Array} data  rows from the top, width * height bytes */
  constructor(width, height, data = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, data });
  }
}

/**
 * Every pixel whose centre lies within size/2 of the way from a to b.
 * Calls span(y, x0, x1) for each row, x1 not included.
 */
export function stroke(mask, a, b, size, span) {
  const r = size / 2;
  [a, b] = [onGrid(a, size), onGrid(b, size)];
  const dx = b.x - a.x, dy = b.y - a.y, length = Math.hypot(dx, dy);
  const top = Math.max(0, Math.ceil(Math.min(a.y, b.y) - r - 0.5));
  const bottom = Math.min(mask.height - 1, Math.floor(Math.max(a.y, b.y) + r - 0.5));
  for (let y = top; y <= bottom; y++) {
    // in each row the discs about both ends and the band between them make one run of pixels
    let from = Infinity, to = -Infinity;
    const reach = (x0, x1) => { from = Math.min(from, x0); to = Math.max(to, x1); };
    for (const end of [a, b]) {
      const half = r * r - (y + 0.5 - end.y) ** 2;
      if (half >= 0) reach(end.x - Math.sqrt(half), end.x + Math.sqrt(half));
    }
    if (length > 0) band(a, dx, dy, length, r, y + 0.5, reach);
    const x0 = Math.max(0, Math.ceil(from - 0.5 - 1e-9)), x1 = Math.min(mask.width, Math.floor(to - 0.5 + 1e-9) + 1);
    if (x0 < x1) span(y, x0, x1);
  }
}

/** The stretch of a row that lies within r of the line and between its ends. */
function band(a, dx, dy, length, r, y, reach) {
  const across = (x) => ((x - a.x) * dy - (y - a.y) * dx) / length;
  const along = (x) => ((x - a.x) * dx + (y - a.y) * dy) / length;
  let low = -Infinity, high = Infinity;
  for (const [value, slope, min, max] of [[across(0), dy / length, -r, r], [along(0), dx / length, 0, length]]) {
    if (Math.abs(slope) < 1e-12) {
      if (value < min || value > max) return;
      continue;
    }
    const x0 = (min - value) / slope, x1 = (max - value) / slope;
    low = Math.max(low, Math.min(x0, x1));
    high = Math.min(high, Math.max(x0, x1));
  }
  if (low <= high) reach(low, high);
}

/** Odd brushes sit on a pixel's centre, even ones on a corner: a dab always has the same shape. */
function onGrid(p, size) {
  return size % 2 ? { x: Math.floor(p.x) + 0.5, y: Math.floor(p.y) + 0.5 } : { x: Math.round(p.x), y: Math.round(p.y) };
}

/** Pixels whose centre lies inside, even-odd. */
export function polygon(mask, points, span) {
  const ys = points.map((p) => p.y);
  const top = Math.max(0, Math.ceil(Math.min(...ys) - 0.5)), bottom = Math.min(mask.height - 1, Math.floor(Math.max(...ys) - 0.5));
  for (let y = top; y <= bottom; y++) {
    const crossings = [], line = y + 0.5;
    points.forEach((p, i) => {
      const q = points[(i + 1) % points.length];
      if (p.y <= line !== q.y <= line) crossings.push(p.x + ((line - p.y) / (q.y - p.y)) * (q.x - p.x));
    });
    crossings.sort((m, n) => m - n);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const x0 = Math.max(0, Math.ceil(crossings[i] - 0.5)), x1 = Math.min(mask.width, Math.ceil(crossings[i + 1] - 0.5));
      if (x0 < x1) span(y, x0, x1);
    }
  }
}

/** The 4-connected patch about (x, y) of pixels for which belongs(index) is true. */
export function flood(mask, x, y, belongs, span) {
  const { width, height } = mask, seen = new Uint8Array(width * height), rows = [[x, y]];
  const wanted = (i) => !seen[i] && belongs(i);
  while (rows.length) {
    const [sx, sy] = rows.pop(), row = sy * width;
    if (!wanted(row + sx)) continue;
    let x0 = sx, x1 = sx + 1;
    while (x0 > 0 && wanted(row + x0 - 1)) x0--;
    while (x1 < width && wanted(row + x1)) x1++;
    seen.fill(1, row + x0, row + x1);
    for (const ny of [sy - 1, sy + 1]) {
      if (ny < 0 || ny >= height) continue;
      for (let nx = x0; nx < x1; nx++) {
        if (wanted(ny * width + nx) && (nx === x0 || !wanted(ny * width + nx - 1))) rows.push([nx, ny]);
      }
    }
    span(sy, x0, x1);
  }
}
