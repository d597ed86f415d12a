/* Strategy pages: bells of their logs, the log that grows while it is looked at, the code editor's Tab key. */
import { all, one, on } from "./dom.js";
import { addToasts } from "./frame.js";
import { watch } from "./socket.js";

const STATE_GAP = 1500;
const LONGEST = 1_500_000;
let place = null;
let busy = false;
let again = false;

/** Fetch what was added to the log, and stay at its end while that is wanted. */
async function grow() {
  if (busy) { again = true; return; }
  busy = true;
  again = false;
  const query = new URLSearchParams({ name: place.dataset.name, after: place.dataset.end });
  try {
    const answer = await fetch(`${place.dataset.log}?${query}`, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
    if (answer.ok) show(await answer.json());
  } finally {
    busy = false;
    if (again) setTimeout(grow, 50);
  }
}

function show({ name, text, end }) {
  if (name !== place.dataset.name) {
    place.textContent = "";
    place.dataset.name = name;
    const title = one("[data-log-name]");
    if (title) title.textContent = name;
  }
  place.dataset.end = end;
  if (!text) return;
  place.append(text);
  if (place.textContent.length > LONGEST) place.textContent = place.textContent.slice(-LONGEST / 2);
  follow();
}

function follow() {
  if (one("[data-log-follow]")?.checked) place.scrollTop = place.scrollHeight;
}

/** A log's bell rings many times a second; what else the page shows of a strategy is fetched more slowly. */
function listen(ids) {
  let timer = 0;
  watch(ids.map((id) => `log|${id}|`));
  document.body.addEventListener("changed:log", (event) => {
    if (place && event.detail.id === place.dataset.strategy) grow();
    timer ||= setTimeout(() => { timer = 0; document.body.dispatchEvent(new CustomEvent("changed:strategies")); }, STATE_GAP);
  });
}

function editor() {
  on("keydown", "[data-editor] textarea", (area, event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); if (!area.readOnly) area.form.requestSubmit(); }
    if (event.key === "Tab" && !event.shiftKey && !area.readOnly) { event.preventDefault(); area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end"); }
  });
}

let newest = 0;

/** A strategy crashed, failed or did not start: say so on whatever page is open. */
async function tell() {
  const answer = await fetch(`/python/alerts/news?after=${newest}`, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
  if (!answer.ok) return;
  newest = Number(answer.headers.get("X-Newest")) || newest;
  addToasts(await answer.text());
}

export function start() {
  document.body.addEventListener("changed:alert", tell);
  const ids = all("[data-strategies]").flatMap((part) => part.dataset.strategies.split(" ")).filter(Boolean);
  place = one("[data-log]");
  if (ids.length) listen(ids);
  if (place) { follow(); grow(); }
  if (one("[data-editor]")) editor();
}
