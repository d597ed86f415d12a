/* Candles from the server, the live bar from ticks, lines for what is held and asked. Loaded after the first paint. */
import { CandlestickSeries, createChart, CrosshairMode, HistogramSeries, LineSeries, LineStyle } from "lightweight-charts";
import { all, on, one, root } from "./dom.js";
import { inr } from "./format.js";
import { bands, ema, sma, vwap } from "./indicators.js";
import { onTick } from "./socket.js";

const SECONDS = { "1m": 60, "3m": 180, "5m": 300, "10m": 600, "15m": 900, "30m": 1800, "1h": 3600 };
const IST_OFFSET = 19_800;
const INDICATORS = { ema20: (bars) => [ema(bars, 20)], ema50: (bars) => [ema(bars, 50)], sma200: (bars) => [sma(bars, 200)], vwap: (bars) => [vwap(bars)], bands: (bars) => bands(bars, 20, 2) };
const TINTS = ["--link", "--color-info", "--color-warning", "--muted", "--faint"];

const state = { key: "", interval: "5m", bars: [], chart: null, candles: null, volume: null, lines: [], extra: new Map(), busy: false, oldest: "" };

/** A token as the canvas wants it. */
const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function token(name) {
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = getComputedStyle(root).getPropertyValue(name);
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
  return `rgba(${r}, ${g}, ${b}, ${(a / 255).toFixed(3)})`;
}

const ist = (seconds, options) => new Date(seconds * 1000).toLocaleString("en-IN", { timeZone: "Asia/Kolkata", ...options });
const dayName = (t) => new Date(t * 1000).toLocaleDateString("en-IN", { timeZone: "UTC", day: "numeric", month: "short", year: "2-digit" });
const isDaily = () => !SECONDS[state.interval];

function look() {
  const grid = { color: token("--grid") };
  return {
    layout: { background: { color: "transparent" }, textColor: token("--faint"), fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily, attributionLogo: false },
    grid: { vertLines: grid, horzLines: grid },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.2 } },
    timeScale: { borderVisible: false, timeVisible: !isDaily(), rightOffset: 6, tickMarkFormatter: (t, kind) => (isDaily() ? dayName(t) : kind < 3 ? ist(t, { day: "numeric", month: "short" }) : ist(t, { hour: "2-digit", minute: "2-digit", hour12: false })) },
    localization: { timeFormatter: (t) => (isDaily() ? dayName(t) : ist(t, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false })), priceFormatter: (price) => inr(price) },
  };
}

const colours = () => ({ up: token("--up"), down: token("--down") });

function draw() {
  const box = one("#chart");
  state.chart?.remove();
  state.chart = createChart(box, { autoSize: true, ...look() });
  const { up, down } = colours();
  state.candles = state.chart.addSeries(CandlestickSeries, { upColor: "transparent", borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down, lastValueVisible: true, priceLineVisible: true, priceLineStyle: LineStyle.Dotted });
  state.volume = state.chart.addSeries(HistogramSeries, { priceScaleId: "", color: token("--line-strong"), priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  state.volume.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
  state.extra.clear();
  state.lines = [];
  state.chart.subscribeCrosshairMove((move) => legend(move.seriesData?.get(state.candles) ?? null, move.seriesData?.get(state.volume)?.value));
  state.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => { if (range && range.from < 10) further(); });
}

function show(bars) {
  state.candles.setData(bars.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
  state.volume.setData(bars.map((bar) => ({ time: bar[0], value: bar[5] })));
  legend(null);
  indicators();
}

function legend(bar, volume) {
  const last = state.bars.at(-1);
  const shown = bar ?? (last && { open: last[1], high: last[2], low: last[3], close: last[4] });
  const place = one("[data-legend]");
  if (!place || !shown) return;
  const amount = volume ?? last?.[5] ?? 0;
  const parts = [["O", inr(shown.open)], ["H", inr(shown.high)], ["L", inr(shown.low)], ["C", inr(shown.close)], ["Vol", inr(amount, 0)]];
  place.replaceChildren(...parts.map(([name, text]) => { const span = document.createElement("span"); const value = document.createElement("b"); value.className = "font-medium text-base-content"; value.textContent = text; span.append(`${name} `, value); return span; }));
}

function indicators() {
  const wanted = all("[data-indicator]:checked").map((box) => box.dataset.indicator);
  for (const [id, list] of state.extra) if (!wanted.includes(id)) { list.forEach((series) => state.chart.removeSeries(series)); state.extra.delete(id); }
  wanted.forEach((id, at) => {
    const lines = INDICATORS[id](state.bars);
    if (!state.extra.has(id)) state.extra.set(id, lines.map(() => state.chart.addSeries(LineSeries, { color: token(TINTS[at % TINTS.length]), lineWidth: 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false })));
    state.extra.get(id).forEach((series, part) => series.setData(lines[part]));
  });
}

function mark(lines) {
  const { up, down } = colours();
  state.lines.forEach((line) => state.candles.removePriceLine(line));
  state.lines = lines.map((line) => state.candles.createPriceLine({ price: line.price, title: line.words, lineWidth: 1, axisLabelVisible: true, color: { position: token("--muted"), buy: up, sell: down }[line.kind], lineStyle: line.kind === "position" ? LineStyle.Solid : LineStyle.Dashed }));
}

const address = (extra) => { const at = state.key.indexOf(":"); return `${one("#chart-pane").dataset.chart}?${new URLSearchParams({ exchange: state.key.slice(0, at), symbol: state.key.slice(at + 1), interval: state.interval, ...extra })}`; };
const ask = async (extra = {}) => { const answer = await fetch(address(extra), { headers: { "X-Requested-With": "fetch" } }); return answer.json(); };

async function load() {
  const mine = `${state.key} ${state.interval}`;
  const source = one("[data-chart-source]");
  state.bars = [];
  draw();
  const got = await ask().catch(() => ({ error: "No answer from the server." }));
  if (mine !== `${state.key} ${state.interval}`) return;
  if (got.error) { source.textContent = got.error; return; }
  state.bars = got.bars;
  state.oldest = got.start;
  show(state.bars);
  mark(got.lines);
  const shown = one("#chart").clientWidth / 8;
  state.chart.timeScale().setVisibleLogicalRange({ from: state.bars.length - shown, to: state.bars.length + 8 });
  source.textContent = state.bars.length ? `${inr(state.bars.length, 0)} bars, live bar from the feed` : "Nothing traded in this span";
}

/** Older bars, when the left edge comes into view. */
async function further() {
  if (state.busy || !state.oldest || !state.bars.length) return;
  state.busy = true;
  const before = new Date(`${state.oldest}T00:00:00Z`);
  before.setUTCDate(before.getUTCDate() - 1);
  const mine = state.key;
  const got = await ask({ until: before.toISOString().slice(0, 10) }).catch(() => null);
  if (got?.bars && mine === state.key) {
    const first = state.bars[0][0];
    const older = got.bars.filter((bar) => bar[0] < first);
    state.oldest = older.length ? got.start : "";
    if (older.length) { state.bars = [...older, ...state.bars]; show(state.bars); }
  }
  state.busy = false;
}

async function lines() {
  const got = await ask({ until: "1990-01-01" }).catch(() => null);
  if (got?.lines) mark(got.lines);
}

/** The bar that is open now grows with each tick; a new one begins on the market's grid. */
function live(key, _mode, data) {
  if (key !== state.key || !state.candles || !state.bars.length) return;
  const last = state.bars.at(-1);
  const step = SECONDS[state.interval];
  const at = Math.floor((data.ltt || data.timestamp) / 1000);
  const start = step ? Math.floor((at + IST_OFFSET) / step) * step - IST_OFFSET : last[0];
  if (start < last[0]) return;
  if (start === last[0]) { last[2] = Math.max(last[2], data.ltp); last[3] = Math.min(last[3], data.ltp); last[4] = data.ltp; } else state.bars.push([start, data.ltp, data.ltp, data.ltp, data.ltp, 0]);
  const [time, open, high, low, close] = state.bars.at(-1);
  state.candles.update({ time, open, high, low, close });
}

function choose(key, name) {
  if (key === state.key) return;
  state.key = key;
  const head = one("#chart-pane [data-feed]");
  head.dataset.feed = key;
  one("[data-chart-name]").textContent = name;
  const exchange = one("[data-chart-exchange]");
  if (exchange) exchange.textContent = key.split(":")[0];
  all("[data-cell]", head).forEach((cell) => { cell.textContent = ""; });
  document.dispatchEvent(new CustomEvent("swapped"));
  load();
}

export function start() {
  const pane = one("#chart-pane");
  state.key = pane.dataset.key;
  state.interval = pane.dataset.interval;
  on("click", "[data-interval-to]", (button) => {
    all("[data-interval-to]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    state.interval = button.dataset.intervalTo;
    load();
  });
  on("change", "[data-indicator]", indicators);
  document.addEventListener("chart:pick", (event) => choose(event.detail.key, event.detail.name));
  document.addEventListener("chart:show", () => { if (!state.bars.length) load(); });
  document.addEventListener("theme", () => { draw(); show(state.bars); lines(); });
  document.body.addEventListener("changed:orders", lines);
  onTick(live);
  load();
}
