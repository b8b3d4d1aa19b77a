// Shortcuts: one table, for the handler and for the help.

export function shortcuts(editor, view, page) {
  const tool = (name) => () => page.tool(name);
  return [
    ["b", "Brush", tool("brush")],
    ["e", "Eraser", tool("eraser")],
    ["p", "Polygon", tool("polygon")],
    ["g", "Fill", tool("fill")],
    ["h", "Move the photograph", tool("pan")],
    ["[", "Smaller brush", () => page.size(-1)],
    ["]", "Larger brush", () => page.size(1)],
    ["v", "Mask on or off", () => page.show()],
    ["o", "More opaque", () => page.opacity(0.1)],
    ["Shift+o", "Less opaque", () => page.opacity(-0.1)],
    ["+", "Zoom in", () => view.zoom(1.5)],
    ["-", "Zoom out", () => view.zoom(1 / 1.5)],
    ["f", "Fit to the window", () => view.fit()],
    ["Ctrl+z", "Undo", () => editor.undo()],
    ["Ctrl+Shift+z", "Redo", () => editor.redo()],
    ["Ctrl+y", "Redo", () => editor.redo()],
    ["Ctrl+s", "Save", () => page.save()],
    ["Enter", "Close the polygon", () => editor.closePolygon(), () => editor.corners.length],
    ["Backspace", "Take back its last corner", () => editor.dropPolygon(1), () => editor.corners.length],
    ["Escape", "Drop the polygon", () => editor.dropPolygon(), () => editor.corners.length],
    ["?", "This help", () => page.help()],
  ];
}

const NUDGE = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Listen on the document; on the canvas arrows move the cursor and the space bar presses. */
export function listen(table, canvas, editor, view, page) {
  const actions = new Map(table.map(([key, , run, when]) => [key.toLowerCase(), { run, when }]));
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input:not([type=range], [type=checkbox]), textarea, select, dialog")) return;
    if (event.target === canvas && (NUDGE[event.key] || event.key === " ")) {
      event.preventDefault();
      nudge(event, editor, view, page);
      return;
    }
    const digit = event.key >= "0" && event.key <= "9" && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (digit) {
      page.index(Number(event.key));
      return;
    }
    const action = actions.get(name(event));
    if (!action || (action.when && !action.when())) return;
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
    event.preventDefault();
    action.run();
  });
}

function name(event) {
  const key = event.key.toLowerCase(), letter = /^[a-z]$/.test(key);
  return (event.ctrlKey || event.metaKey ? "ctrl+" : "") + (event.altKey ? "alt+" : "") + (event.shiftKey && letter ? "shift+" : "") + key;
}

function nudge(event, editor, view, page) {
  if (event.key === " ") {
    editor.down(page.cursor);
    editor.up();
    return;
  }
  const [dx, dy] = NUDGE[event.key], step = event.shiftKey ? 10 : 1;
  const limited = (value, most) => Math.min(most - 0.5, Math.max(0.5, Math.floor(value) + 0.5));
  page.hover({ x: limited(page.cursor.x + dx * step, view.mask.width), y: limited(page.cursor.y + dy * step, view.mask.height) });
  view.reveal(page.cursor);
}
