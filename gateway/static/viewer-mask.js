// A mask as it is drawn over its photograph: class indices in, a tinted canvas and the outlines of each class out.

/** Read `/v1/inspections/ID/mask?format=indexed`. */
export async function readMask(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(response.status === 410 ? "the mask is no longer kept" : `the mask cannot be read (${response.status})`);
  const [width, height] = ["X-Width", "X-Height"].map((name) => Number(response.headers.get(name)));
  return { width, height, data: new Uint8Array(await response.arrayBuffer()) };
}

/** "#rrggbb", opaque, as a pixel of ImageData read by 32 bits: little endian, as every browser's machine. */
export function opaque(colour) {
  const value = parseInt(colour.slice(1), 16);
  return ((0xff << 24) | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

/** Canvas of the mask's size: the shown classes in their colours, all else clear. */
export function tinted(mask, classes, shown) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(mask.width, mask.height);
  const words = new Uint32Array(pixels.data.buffer);
  const colours = classes.map(({ colour }, index) => (index && shown.has(index) ? opaque(colour) : 0));
  for (let at = 0; at < words.length; at++) words[at] = colours[mask.data[at]] ?? 0;
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Of each class that is there: a path along the edges of its pixels, in mask pixels. */
export function outlines(mask) {
  const { width, height, data } = mask;
  const paths = new Map();
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[y * width + x]);
  const line = (index, x1, y1, x2, y2) => {
    if (index === 0) return;
    if (!paths.has(index)) paths.set(index, new Path2D());
    paths.get(index).moveTo(x1, y1);
    paths.get(index).lineTo(x2, y2);
  };
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const [here, above, left] = [at(x, y), at(x, y - 1), at(x - 1, y)];
      if (here !== above) for (const index of [here, above]) line(index, x, y, x + 1, y);
      if (here !== left) for (const index of [here, left]) line(index, x, y, x, y + 1);
    }
  }
  return paths;
}

/** The component under a mask pixel: the smallest whose box holds it (a little around counts, too); -1 for none. */
export function componentAt(components, x, y, around = 2) {
  let found = -1;
  components.forEach(({ box: [left, top, width, height] }, index) => {
    const inside = x >= left - around && y >= top - around && x < left + width + around && y < top + height + around;
    const smaller = found < 0 || width * height < components[found].box[2] * components[found].box[3];
    if (inside && smaller) found = index;
  });
  return found;
}
