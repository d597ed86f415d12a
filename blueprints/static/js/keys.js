/* The keyboard: nothing inside a field, nothing with a modifier but the ones shown on the sheet. */
import { tinykeys } from "tinykeys";
import { all, inField, one } from "./dom.js";
import { openDialog } from "./frame.js";

const rows = () => all("[data-row]").filter((row) => row.offsetParent !== null);
const current = () => document.activeElement?.closest?.("[data-row]") ?? one("[data-row][aria-selected=true]");

export function select(row) {
  all("[data-row][aria-selected=true]").forEach((other) => other.removeAttribute("aria-selected"));
  if (!row) return;
  row.setAttribute("aria-selected", "true");
  row.scrollIntoView({ block: "nearest" });
  (row.querySelector("[data-focus]") ?? row.querySelector("a, button"))?.focus({ preventScroll: true });
}

function move(by) {
  const list = rows();
  if (!list.length) return false;
  const at = list.indexOf(current());
  select(list[Math.min(list.length - 1, Math.max(0, at < 0 ? 0 : at + by))]);
  return true;
}

function act(name) {
  const button = current()?.querySelector(`[data-act=${name}]`);
  button?.click();
  return Boolean(button);
}

/** B and S turn the ticket when no row is chosen; they never send. */
function side(name) {
  if (!one("form[data-ticket]")) return false;
  document.dispatchEvent(new CustomEvent("ticket:side", { detail: name }));
  return true;
}

const go = (id) => {
  const link = one(`[data-go=${id}]`);
  if (link) location.assign(link.href);
  return Boolean(link);
};

export function start() {
  const guarded = (handler) => (event) => {
    if (inField(event.target) || one("dialog[open]")) return;
    if (handler(event) !== false) event.preventDefault();
  };
  // The first binding that matches is the only one that runs: sequences stand before their last letter alone.
  const table = {
    "g w": () => go("trade"), "g o": () => go("orders"), "g p": () => go("positions"), "g s": () => go("strategies"), "g c": () => go("options"), "g h": () => go("dashboard"),
    "/": () => openDialog("palette") || (location.href = "/search"),
    "Shift+?": () => openDialog("keys"),
    "?": () => openDialog("keys"),
    "Shift+K": () => openDialog("kill") || (location.href = "/kill"),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => act("open"),
    b: () => act("buy") || side("BUY"), s: () => act("sell") || side("SELL"), d: () => act("depth"), c: () => act("chart"), m: () => act("modify"), t: () => act("guard"),
    x: () => act("select"), Delete: () => act("remove"),
  };
  tinykeys(window, Object.fromEntries(Object.entries(table).map(([key, handler]) => [key, guarded(handler)])));
}
