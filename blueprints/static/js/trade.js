/* The trade workspace: pick an instrument without leaving the page, open depth under its row, switch panes on phones. */
import { all, on, one } from "./dom.js";
import { submit } from "./forms.js";
import { scan } from "./painter.js";
import { begin, turn } from "./ticket.js";

const quiet = { headers: { "X-Requested-With": "fetch" } };
const swapped = () => document.dispatchEvent(new CustomEvent("swapped"));

function pane(name) {
  const trade = one(".trade");
  if (!trade) return;
  trade.dataset.pane = name;
  all("[data-pane-to]").forEach((tab) => tab.setAttribute("aria-selected", String(tab.dataset.paneTo === name)));
  if (name === "chart") document.dispatchEvent(new CustomEvent("chart:show"));
}

async function pick(link) {
  const [exchange, symbol] = [link.dataset.pick.slice(0, link.dataset.pick.indexOf(":")), link.dataset.pick.slice(link.dataset.pick.indexOf(":") + 1)];
  const query = new URLSearchParams({ exchange, symbol });
  if (link.dataset.side) query.set("side", link.dataset.side);
  const list = one("[data-list]")?.dataset.list;
  if (list) query.set("list", list);
  const answer = await fetch(`/trade?part=ticket&${query}`, quiet).catch(() => null);
  if (!answer || answer.status === 401) { location.assign(link.href); return; }
  one("#ticket").innerHTML = await answer.text();
  history.replaceState(null, "", `/trade?${query}`);
  all(".wl li[data-feed]").forEach((row) => row.toggleAttribute("aria-current", row.dataset.feed === link.dataset.pick));
  all(".wl li[aria-current]").forEach((row) => row.setAttribute("aria-current", "true"));
  const phone = matchMedia("(width < 48rem)").matches;
  if (link.dataset.side || (phone && !link.dataset.to)) pane("ticket");
  if (link.dataset.to) pane(link.dataset.to);
  const head = one("#ticket [data-ticket-key]");
  document.dispatchEvent(new CustomEvent("chart:pick", { detail: { key: link.dataset.pick, name: head?.dataset.name ?? symbol } }));
  swapped();
  begin();
  const quantity = link.dataset.side && one("#ticket [name=quantity]");
  if (quantity) { quantity.focus(); quantity.select(); }
}

async function toggleDepth(button) {
  const row = button.closest("li");
  const open = row.nextElementSibling?.classList.contains("depthrow") ? row.nextElementSibling : null;
  button.setAttribute("aria-expanded", String(!open));
  if (open) { open.remove(); scan(); return; }
  const key = button.dataset.depthOf;
  const at = key.indexOf(":");
  const answer = await fetch(`/trade/depth?${new URLSearchParams({ exchange: key.slice(0, at), symbol: key.slice(at + 1) })}`, quiet).catch(() => null);
  if (!answer?.ok) return;
  const place = document.createElement("li");
  place.className = "depthrow";
  place.innerHTML = await answer.text();
  row.after(place);
  scan();
}

async function quietly(form, submitter) {
  const answer = await submit(form, submitter);
  form.closest("details")?.removeAttribute("open");
  if (answer && answer.status < 400) await reload(form.dataset.quiet);
}

async function reload(id) {
  const place = document.getElementById(id);
  if (!place) return;
  const query = new URLSearchParams(location.search);
  query.set("part", id);
  const list = one("[data-list]")?.dataset.list;
  if (list) query.set("list", list);
  const answer = await fetch(`/trade?${query}`, quiet).catch(() => null);
  if (answer?.ok) { place.innerHTML = await answer.text(); scan(); }
}

export function start() {
  on("click", "[data-pane-to]", (tab) => pane(tab.dataset.paneTo));
  if (one("[data-line]")) import("./line.js").then((line) => line.start());
  on("submit", "form[data-quiet]", (form, event) => { event.preventDefault(); quietly(form, event.submitter); });
  if (!one(".trade")) return;
  on("click", "a[data-pick]", (link, event) => { if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); pick(link); } });
  on("click", "[data-depth-of]", toggleDepth);
  document.addEventListener("ticket:side", (event) => { turn(event.detail); pane("ticket"); });
  if (one("#chart")) import("./chart.js").then((chart) => chart.start());
}
