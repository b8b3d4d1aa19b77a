// Decisions as small pictures, built from what /v1/line/decisions and the events call a brief.

import { element } from "./app.js";

const WIDTH = 320;

/** <a class="thumb"> of one decision. */
export function thumbnail(brief) {
  const told = `${brief.decision === "accept" ? "Accepted" : "Rejected"} ${brief.head_id ?? brief.id}`;
  const picture = element("img", {
    src: `/v1/inspections/${encodeURIComponent(brief.id)}/thumbnail?width=${WIDTH}`, alt: told, loading: "lazy",
  });
  const at = new Date(brief.created).toLocaleTimeString(undefined, { timeStyle: "medium" });
  const link = element(
    "a",
    { className: "thumb", href: `/inspections/${encodeURIComponent(brief.id)}`, title: brief.id },
    picture,
    element("span", { className: "caption" },
      element("span", { className: `badge ${brief.decision}`, textContent: brief.decision }),
      element("span", { textContent: brief.head_id ?? brief.id })),
    element("span", { className: "caption" },
      element("span", { textContent: brief.reasons.join(", ") || brief.release }),
      element("time", { dateTime: brief.created, textContent: at })),
  );
  link.dataset.id = brief.id;
  return link;
}
