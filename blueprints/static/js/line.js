/* A line over time: the day's P&L above, its falls from the high below. Loaded after the first paint. */
import { AreaSeries, BaselineSeries, createChart, LineStyle } from "lightweight-charts";
import { all, one, root } from "./dom.js";
import { direction, signed } from "./format.js";
import { accountPnl } from "./painter.js";

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function token(name, alpha = 1) {
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = getComputedStyle(root).getPropertyValue(name);
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
  return `rgba(${r}, ${g}, ${b}, ${((a / 255) * alpha).toFixed(3)})`;
}
const ist = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB", { timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit" });

async function draw(box) {
  const answer = await fetch(box.dataset.line, { headers: { "X-Requested-With": "fetch" } });
  const { points, begun, beside } = await answer.json();
  if (!points?.length) return;
  const grid = { color: token("--grid") };
  const chart = createChart(box, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: token("--faint"), fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily, attributionLogo: false, panes: { separatorColor: token("--line") } },
    grid: { vertLines: grid, horzLines: grid },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderVisible: false, timeVisible: true, tickMarkFormatter: ist },
    localization: { timeFormatter: ist, priceFormatter: (value) => signed(value) },
  });
  const up = "--up";
  const down = "--down";
  const pnl = chart.addSeries(BaselineSeries, { baseValue: { type: "price", price: 0 }, topLineColor: token(up), topFillColor1: token(up, 0.25), topFillColor2: token(up, 0.02), bottomLineColor: token(down), bottomFillColor1: token(down, 0.02), bottomFillColor2: token(down, 0.25), lineWidth: 2, priceLineStyle: LineStyle.Dotted });
  pnl.setData(points.map(([time, value]) => ({ time, value })));
  let peak = begun;
  const falls = points.map(([time, value]) => { peak = Math.max(peak, value); return { time, value: value - peak }; });
  const fall = chart.addSeries(AreaSeries, { lineColor: token(down), topColor: token(down, 0.02), bottomColor: token(down, 0.3), lineWidth: 1, priceLineVisible: false, title: "Fall from the high" }, 1);
  fall.setData(falls);
  chart.panes()[0]?.setStretchFactor(3);
  chart.timeScale().fitContent();
  if (beside === null || beside === undefined) return;
  const follow = followed(points, begun, (time, value, below) => { pnl.update({ time, value }); fall.update({ time, value: below }); });
  const heed = (total) => follow(Math.round((total - beside) * 100) / 100);
  document.addEventListener("pnl", (event) => heed(event.detail));
  if (accountPnl() !== null) heed(accountPnl());
}

/** The last minute of the line moves with the header's figure, and the extremes with it; minutes before stand. */
function followed(points, begun, show) {
  const past = { best: begun, worst: begun, peak: begun, fall: 0 };
  const close = (value) => Object.assign(past, { best: Math.max(past.best, value), worst: Math.min(past.worst, value), peak: Math.max(past.peak, value), fall: Math.min(past.fall, value - Math.max(past.peak, value)) });
  points.slice(0, -1).forEach(([, value]) => close(value));
  let [minute, last] = points.at(-1);
  return (value) => {
    const now = Math.floor(Date.now() / 60_000) * 60;
    if (now > minute) { close(last); minute = now; }
    last = value;
    const below = value - Math.max(past.peak, value);
    const extremes = { best: Math.max(past.best, value), worst: Math.min(past.worst, value), fall: Math.min(past.fall, below) };
    for (const [name, figure] of Object.entries(extremes)) write(one(`[data-extreme="${name}"]`), figure);
    show(minute, value, below);
  };
}

function write(node, value) {
  if (!node) return;
  node.textContent = signed(value);
  node.className = `tn ${direction(value)}`;
}

export const start = () => all("[data-line]").forEach((box) => draw(box));
