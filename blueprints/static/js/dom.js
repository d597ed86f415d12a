/* The few helpers every module shares. */
export const root = document.documentElement;
export const one = (query, within = document) => within.querySelector(query);
export const all = (query, within = document) => [...within.querySelectorAll(query)];

/** Call `act(element, event)` for events on anything that matches, now or later. */
export function on(kind, query, act, options) {
  document.addEventListener(kind, (event) => {
    const found = event.target instanceof Element ? event.target.closest(query) : null;
    if (found) act(found, event);
  }, options);
}

/** Whether keys typed now belong to a field. */
export const inField = (target) => target instanceof Element && Boolean(target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], .cm-editor"));

/** A toast's markup comes from the server; this shows one made here. */
export function announce(text) {
  const place = one("#announce");
  if (place) place.textContent = text;
}

/** POST a form's fields as a script; the answer's text is a fragment. */
export async function send(address, body) {
  const answer = await fetch(address, { method: "POST", body, headers: { "X-Requested-With": "fetch" }, redirect: "manual", credentials: "same-origin" });
  return { status: answer.status, ok: answer.ok, text: answer.type === "opaqueredirect" ? "" : await answer.text(), headers: answer.headers, redirected: answer.type === "opaqueredirect" };
}

/** The icon `name` as the templates draw it. */
export function icon(name, size = "") {
  const sprite = one("svg.icon use")?.getAttribute("href")?.split("#")[0] ?? "";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `icon${size ? ` icon-${size}` : ""}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${sprite}#i-${name}`);
  svg.append(use);
  return svg;
}
