// What every page shares: requests that carry the session's token, elements, toasts, times in the reader's zone.

export const csrf = document.querySelector('meta[name="csrf"]')?.content ?? "";

/** fetch() with our token; throws an Error that holds the problem's text, and its status. */
export async function api(url, options = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf, ...options.headers };
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    options = { ...options, body: JSON.stringify(options.json) };
  }
  const response = await fetch(url, { ...options, headers });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail ?? `${response.status} ${response.statusText}`), { status: response.status });
  }
  const kind = response.headers.get("content-type") ?? "";
  return kind.includes("json") && response.status !== 204 ? response.json() : response;
}

/** A new element with these properties, which holds these children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function toast(text, wrong = false) {
  const box = element("div", { className: wrong ? "toast wrong" : "toast", textContent: text });
  document.getElementById("toasts")?.append(box);
  setTimeout(() => box.remove(), wrong ? 9000 : 4000);
}

/** <time datetime="…Z"> in the reader's own zone. */
export function localTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.title = time.dateTime;
      time.textContent = moment.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
    }
  }
}

localTimes();
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
document.addEventListener("htmx:responseError", async (event) => {
  let detail = `${event.detail.xhr.status} ${event.detail.xhr.statusText}`;
  try { detail = JSON.parse(event.detail.xhr.responseText).detail ?? detail; } catch { /* not ours */ }
  toast(detail, true);
});
