/* The page's one WebSocket: ticks for what is shown, bells for what changed. Signed in by a ticket that works once. */
import { one, send } from "./dom.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
const PAUSE_HIDDEN = 5000;
const BELL_GAP = 250;
const LOG_GAP = 60;

const wanted = new Map();
const held = new Map();
const listeners = { tick: [], state: [] };
let socket = null;
let ready = false;
let wait = FIRST_WAIT;
let paused = false;
let again = false;
let feed = { state: "connecting", message: "" };
const watched = new Set();

export const onTick = (act) => listeners.tick.push(act);
export const onState = (act) => listeners.state.push(act);
export const feedState = () => feed;

function setFeed(state, message = "") {
  feed = { state, message };
  listeners.state.forEach((act) => act(feed));
}

/** Ask for these instruments: a Map of "EXCHANGE:SYMBOL" to mode (1 last price, 2 quote, 3 depth). Replaces the last. */
export function want(keys) {
  wanted.clear();
  keys.forEach((mode, key) => wanted.set(key, mode));
  sync();
}

/** Hear the bells of jobs, logs and logins, e.g. "job|7|". */
export function watch(topics) {
  topics.forEach((topic) => watched.add(topic));
  if (ready && watched.size) say({ action: "watch", topics: [...watched] });
}

const say = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));
const split = (key) => { const at = key.indexOf(":"); return { exchange: key.slice(0, at), symbol: key.slice(at + 1) }; };

function sync() {
  if (!ready) return;
  const target = paused ? new Map() : wanted;
  const gone = [...held].filter(([key, mode]) => target.get(key) !== mode);
  const fresh = [...target].filter(([key, mode]) => held.get(key) !== mode);
  if (gone.length) say({ action: "unsubscribe", symbols: gone.map(([key, mode]) => ({ ...split(key), mode })) });
  gone.forEach(([key]) => held.delete(key));
  for (const mode of [1, 2, 3]) {
    const symbols = fresh.filter(([, one]) => one === mode).map(([key]) => split(key));
    for (let at = 0; at < symbols.length; at += 200) say({ action: "subscribe", mode, symbols: symbols.slice(at, at + 200) });
  }
  fresh.forEach(([key, mode]) => held.set(key, mode));
}

const lastBell = new Map();

/** Tell the page that something changed: at once, and at most four times a second; a log that is read, more often. */
export function ring(what, id = "") {
  const name = `changed:${what}`;
  const state = lastBell.get(name) ?? { at: 0, timer: 0 };
  lastBell.set(name, state);
  const now = performance.now();
  const fire = () => { state.at = performance.now(); state.timer = 0; document.body.dispatchEvent(new CustomEvent(name, { detail: { id } })); };
  const gap = what === "log" ? LOG_GAP : BELL_GAP;
  if (now - state.at >= gap) fire();
  else state.timer ||= setTimeout(fire, gap - (now - state.at));
}

/** An order event moves positions and money too. */
function bell(what, id) {
  ring(what, id);
  if (what === "orders") { ring("positions"); ring("funds"); }
  if (what === "account" || what === "broker") ring("session");
}

function hear(message) {
  if (message.type === "batch") message.ticks.forEach(hear);
  else if (message.type === "market_data") {
    const key = `${message.exchange}:${message.symbol}`;
    listeners.tick.forEach((act) => act(key, message.mode, message.data));
  } else if (message.type === "changed") bell(message.what, message.id ?? "");
  else if (message.type === "feed_status") setFeed(message.state, message.message);
  else if (message.type === "auth" && message.status === "success") {
    ready = true;
    wait = FIRST_WAIT;
    held.clear();
    if (feed.state !== "live") setFeed("live");
    sync();
    // What happened between the page's drawing and now rang no bell here; after a break, neither did anything else.
    if (again) ["orders", "session"].forEach((what) => bell(what, ""));
    else ring("orders");
    again = true;
    if (watched.size) say({ action: "watch", topics: [...watched] });
  } else if (message.status === "error" && message.code === "AUTHENTICATION_ERROR") socket.close();
}

async function connect() {
  const token = one("meta[name=csrf-token]")?.content ?? "";
  let answer;
  try {
    answer = await send("/shell/socket", new URLSearchParams({ csrf_token: token }));
  } catch {
    retry();
    return;
  }
  if (answer.status === 401 || answer.redirected) { setFeed("expired", "Your session has ended"); return; }
  if (!answer.ok) { retry(); return; }
  const { ticket, url } = JSON.parse(answer.text);
  socket = new WebSocket(url);
  socket.addEventListener("open", () => say({ action: "authenticate", ticket, features: { batch: true, changed: true, feed_status: true } }));
  socket.addEventListener("message", (event) => hear(JSON.parse(event.data)));
  socket.addEventListener("close", retry);
}

function retry() {
  ready = false;
  held.clear();
  setFeed("reconnecting", "Reconnecting");
  setTimeout(connect, wait * (0.7 + Math.random() * 0.6));
  wait = Math.min(LONGEST_WAIT, wait * 2);
}

/** A hidden tab stops hearing prices after five seconds, and looks at everything again when it is seen. */
function followVisibility() {
  let timer = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => { paused = true; sync(); }, PAUSE_HIDDEN);
    else if (paused) { paused = false; sync(); ["orders", "session"].forEach((what) => bell(what, "")); }
  });
}

export function start() {
  if (!document.body.dataset.socket) return;
  followVisibility();
  connect();
}
