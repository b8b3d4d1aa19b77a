// Mouse, pen and fingers on the canvas: one paints, two move and zoom; a pen's other end erases.

export function listen(canvas, view, editor, onhover) {
  const fingers = new Map();
  let panning = false, pinch = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const onPhotograph = (event) => {
    const { x, y } = place(event);
    return view.toPhotograph(x, y);
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
    if (fingers.size === 2) {
      editor.cancel();
      pinch = grip(fingers);
    } else if (event.button === 1 || editor.tool === "pan") panning = true;
    else if (fingers.size === 1 && (event.button === 0 || event.button === 5)) editor.down(onPhotograph(event), event.button === 5);
    if (event.button === 1) event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = place(event), before = fingers.get(event.pointerId);
    onhover(view.toPhotograph(now.x, now.y));
    if (!before) return;
    fingers.set(event.pointerId, now);
    if (pinch) {
      const next = grip(fingers);
      view.pan(next.x - pinch.x, next.y - pinch.y);
      if (pinch.span > 0) view.zoom(next.span / pinch.span, next.x, next.y);
      pinch = next;
    } else if (panning) view.pan(now.x - before.x, now.y - before.y);
    else {
      // where the hand was between two frames, not only where it is
      const path = event.getCoalescedEvents?.() ?? [];
      editor.move((path.length ? path : [event]).map(onPhotograph));
    }
  });

  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      if (pinch) pinch = fingers.size === 2 ? grip(fingers) : null;
      else if (panning) panning = false;
      else editor.up();
    });
  }

  canvas.addEventListener("dblclick", () => editor.tool === "polygon" && editor.closePolygon());
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = place(event);
      view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), x, y);
    },
    { passive: false },
  );
}

/** Middle and span of two fingers. */
function grip(fingers) {
  const [a, b] = [...fingers.values()];
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, span: Math.hypot(a.x - b.x, a.y - b.y) };
}
