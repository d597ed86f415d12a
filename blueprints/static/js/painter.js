/* Ticks to text. One pass a frame, visible cells only; a tick changes a text node, a class and a background, never layout. */
import { all, one } from "./dom.js";
import { ABSENT, age, direction, inr, signed } from "./format.js";
import { feedState, onState, onTick, want } from "./socket.js";

const STALE = 10_000;
const FLASH = 600;
const ACCOUNT = "shell-held";

const latest = new Map();
const holders = new Map();
const byElement = new WeakMap();
const dirty = new Set();
let frame = 0;
let newest = 0;
let totalsDue = false;
let account = null;

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const holder = byElement.get(entry.target);
    if (!holder || holder.always) continue;
    holder.visible = entry.isIntersecting;
    if (holder.visible && latest.has(holder.key)) { dirty.add(holder.key); schedule(); }
  }
});

/** Decimals as the server wrote them into the cell. */
const placesOf = (node) => { const text = node.textContent.split(".")[1]; return text ? Math.max(2, text.length) : 2; };

function hold(element) {
  const kind = element.dataset.depth ? "depth" : "row";
  const cells = kind === "row" ? all("[data-cell]", element).map((node) => ({ node, name: node.dataset.cell, places: placesOf(node), text: "" })) : levels(element);
  const holder = { element, kind, key: element.dataset.depth || element.dataset.feed, cells, always: kind === "depth" || "still" in element.dataset, visible: kind === "depth" || "still" in element.dataset, last: null, flashUntil: 0 };
  const lasts = kind === "row" ? cells.filter((cell) => cell.name === "last").map((cell) => cell.node) : [];
  holder.flash = lasts.find((node) => lasts.length === 1 || node.offsetParent) ?? lasts[0] ?? element;
  if (element.dataset.held !== undefined) Object.assign(holder, { held: Number(element.dataset.held), average: Number(element.dataset.average), value: Number(element.dataset.value || 1) });
  byElement.set(element, holder);
  return holder;
}

function levels(element) {
  const side = (name) => all(`[data-${name}]`, element).map((row) => ({ price: one("[data-at=price]", row), quantity: one("[data-at=quantity]", row), orders: one("[data-at=orders]", row), bar: one("rect", row), right: name === "bid" }));
  return { buy: side("bid"), sell: side("ask") };
}

/** Look at the page afresh: after a fragment was swapped some cells are gone and others are new. */
export function scan() {
  seen.disconnect();
  holders.clear();
  const keys = new Map();
  for (const element of all("[data-feed], [data-depth]")) {
    const key = element.dataset.depth || element.dataset.feed;
    if (!key || !key.includes(":")) continue;
    const holder = hold(element);
    if (!holders.has(key)) holders.set(key, []);
    holders.get(key).push(holder);
    const mode = element.dataset.depth ? 3 : Number(element.dataset.mode || 2);
    keys.set(key, Math.max(keys.get(key) ?? 0, mode));
    if (holder.kind === "row") seen.observe(element);
    if (latest.has(key)) dirty.add(key);
  }
  want(keys);
  totalsDue = true;
  schedule();
}

function take(key, mode, data) {
  const now = performance.now();
  newest = now;
  const before = latest.get(key);
  latest.set(key, { ...before, ...data, at: now });
  if (!holders.has(key)) return;
  dirty.add(key);
  schedule();
}

function schedule() {
  if (!frame && (dirty.size || totalsDue)) frame = requestAnimationFrame(paint);
}

function paint() {
  frame = 0;
  const now = performance.now();
  for (const key of dirty) {
    const tick = latest.get(key);
    for (const holder of holders.get(key) ?? []) if (holder.visible) (holder.kind === "depth" ? paintDepth : paintRow)(holder, tick, now);
  }
  dirty.clear();
  if (totalsDue) paintTotals();
}

const write = (cell, text) => { if (cell.text !== text) { cell.node.textContent = text; cell.text = text; } };
const tint = (node, way) => { if (!node.classList.contains(way)) { node.classList.remove("up", "down", "flat"); node.classList.add(way); } };

function paintRow(holder, tick, now) {
  const { ltp } = tick;
  if (holder.last !== null && ltp !== holder.last && holder.element.dataset.still === undefined) {
    holder.flash.dataset.tick = ltp > holder.last ? "up" : "down";
    holder.flashUntil = now + FLASH;
  }
  holder.last = ltp;
  if (holder.element.classList.contains("stale")) fresh(holder);
  const close = tick.close || Number(holder.element.dataset.close) || 0;
  const change = close ? ltp - close : 0;
  for (const cell of holder.cells) {
    if (cell.name === "last") { write(cell, inr(ltp, cell.places)); if (cell.node.classList.contains("lastpx") && close) tint(cell.node, direction(change)); }
    else if (cell.name === "percent" && close) { write(cell, `${signed((change / close) * 100)}%`); tint(cell.node, direction(change)); }
    else if (cell.name === "change-percent" && close) { write(cell, `${signed(change)} (${signed((change / close) * 100)}%)`); tint(cell.node, direction(change)); }
    else if (cell.name === "open-pnl" || cell.name === "pnl") paintPnl(holder, cell, ltp);
    else if (cell.name === "return") paintReturn(holder, cell, ltp);
    else if (cell.name === "worth") write(cell, inr(ltp * holder.held * holder.value));
    else paintFact(cell, tick);
  }
  if (holder.held !== undefined) totalsDue = true;
}

function paintPnl(holder, cell, ltp) {
  const booked = cell.name === "pnl" ? Number(cell.node.dataset.booked || 0) : 0;
  const pnl = (ltp - holder.average) * holder.held * holder.value + booked;
  write(cell, signed(pnl));
  tint(cell.node, direction(pnl));
}

/** What is open, as a share of what it cost; not of what was booked before. */
function paintReturn(holder, cell, ltp) {
  const pnl = (ltp - holder.average) * holder.held * holder.value;
  const cost = Math.abs(holder.average * holder.held * holder.value);
  write(cell, cost ? `${signed((pnl / cost) * 100)}%` : ABSENT);
  tint(cell.node, direction(pnl));
}

const FACTS = { volume: ["volume", 0], oi: ["oi", 0], open: ["open", 2], high: ["high", 2], low: ["low", 2], average: ["average_price", 2], bid: ["bid_price", 2], ask: ["ask_price", 2] };

function paintFact(cell, tick) {
  const [name, places] = FACTS[cell.name] ?? [];
  if (name && tick[name] !== undefined) write(cell, tick[name] ? inr(tick[name], places && cell.places) : ABSENT);
}

function paintDepth(holder, tick) {
  if (!tick.depth) return;
  const { buy, sell } = tick.depth;
  const top = Math.max(1, ...[...buy, ...sell].slice(0, 40).map((level) => level.quantity));
  for (const [rows, given] of [[holder.cells.buy, buy], [holder.cells.sell, sell]]) {
    rows.forEach((row, at) => {
      const level = given[at];
      const set = (node, text) => node && say(node, text);
      set(row.price, level?.price ? inr(level.price) : ABSENT);
      set(row.quantity, level?.quantity ? inr(level.quantity, 0) : ABSENT);
      set(row.orders, level?.orders ? inr(level.orders, 0) : ABSENT);
      const share = level ? Math.round((level.quantity / top) * 1000) / 10 : 0;
      if (row.bar) { row.bar.setAttribute("width", `${share}%`); if (row.right) row.bar.setAttribute("x", `${100 - share}%`); }
    });
  }
}

const gainOf = (element, holder, tick) => (tick ? (tick.ltp - holder.average) * holder.held * holder.value : Number(element.dataset.pnl || NaN));
const worthOf = (element, holder, tick) => (tick ? tick.ltp * holder.held * holder.value : Number(element.dataset.worth || NaN));
const say = (node, text) => { if (node.textContent !== text) node.textContent = text; };

/** What a part of the page holds: what was booked plus each open position at its last price; null while a part of it
is not known. */
function sumOf(scope, booked, partOf = gainOf) {
  let sum = Number(booked || 0);
  for (const element of all("[data-held]", scope)) {
    const holder = byElement.get(element);
    const tick = holder && latest.get(holder.key);
    sum += partOf(element, holder, tick);
  }
  return Number.isFinite(sum) ? sum : null;
}

/** Totals of P&L, all in one pass: those that name the same part of the page show the same figure. */
function paintTotals() {
  totalsDue = false;
  const sums = new Map();
  for (const total of all("[data-total-pnl], [data-total-return]")) {
    const { totalPnl, totalReturn, cost } = total.dataset;
    const name = totalPnl ?? totalReturn;
    const scope = document.getElementById(name);
    if (!scope) continue;
    if (!sums.has(name)) sums.set(name, sumOf(scope, scope.dataset.booked));
    const sum = sums.get(name);
    if (sum === null) continue;
    say(total, totalPnl ? signed(sum) : `${signed((sum / cost) * 100)}%`);
    tint(total, direction(sum));
  }
  for (const total of all("[data-total-worth]")) {
    const sum = sumOf(document.getElementById(total.dataset.totalWorth), 0, worthOf);
    if (sum !== null) say(total, inr(sum));
  }
  if (sums.has(ACCOUNT)) account = sums.get(ACCOUNT);
  if (account !== null) document.dispatchEvent(new CustomEvent("pnl", { detail: account }));
}

/** The account's P&L today as it was painted last, rupees; null before the first time. */
export const accountPnl = () => account;

function fresh(holder) {
  holder.element.classList.remove("stale");
  holder.cells.forEach?.((cell) => cell.node.removeAttribute("title"));
}

/** Once a second: flashes end, what has not ticked for ten seconds turns grey and says since when, the feed's age counts. */
function sweep() {
  const now = performance.now();
  for (const [key, list] of holders) {
    const at = latest.get(key)?.at;
    const old = at === undefined ? now > STALE * 2 : now - at > STALE;
    for (const holder of list) {
      if (holder.flashUntil && holder.flashUntil < now) { delete holder.flash.dataset.tick; holder.flashUntil = 0; }
      if (!old || holder.kind === "depth") continue;
      holder.element.classList.add("stale");
      for (const cell of holder.cells) if (cell.name === "last") cell.node.title = at === undefined ? "No tick since this page was opened" : `Last tick ${age((now - at) / 1000)} ago`;
    }
  }
  showFeed(now);
}

function showFeed(now) {
  const dot = one("[data-feed-dot]");
  const text = one("[data-feed-text]");
  const { state } = feedState();
  const since = newest ? (now - newest) / 1000 : null;
  const good = state === "live";
  if (dot) {
    dot.className = `dot ${good ? (since !== null && since > 3 ? "dot-warn" : "dot-ok") : state === "connecting" ? "" : "dot-err"}`;
    const words = good ? (since === null ? "live" : age(since)) : { stale: "stale", reconnecting: "lost", expired: "ended", connecting: "–" }[state] ?? state;
    if (text.textContent !== words) text.textContent = words;
  }
  document.documentElement.dataset.prices = good && (since === null || since < STALE / 1000) ? "fresh" : "old";
}

/** Whether the newest price of an instrument is old, or the feed is not there. */
export function isStale(key) {
  const at = latest.get(key)?.at;
  return feedState().state !== "live" || at === undefined || performance.now() - at > STALE;
}

export const lastOf = (key) => latest.get(key);

export function start() {
  onTick(take);
  onState(() => showFeed(performance.now()));
  scan();
  setInterval(sweep, 1000);
  document.body.addEventListener("htmx:after:swap", scan);
  document.addEventListener("swapped", scan);
}
