/* Averages over bars of [time, open, high, low, close, volume]; each gives points of {time, value}. */
const line = (bars, values) => bars.map((bar, at) => ({ time: bar[0], value: values[at] })).filter((point) => point.value !== undefined);

export function sma(bars, span) {
  let sum = 0;
  return line(bars, bars.map((bar, at) => {
    sum += bar[4] - (at >= span ? bars[at - span][4] : 0);
    return at >= span - 1 ? sum / span : undefined;
  }));
}

export function ema(bars, span) {
  const weight = 2 / (span + 1);
  let value;
  return line(bars, bars.map((bar, at) => {
    value = value === undefined ? bar[4] : bar[4] * weight + value * (1 - weight);
    return at >= span - 1 ? value : undefined;
  }));
}

/** Volume-weighted average price, anew each Indian day. */
export function vwap(bars) {
  let day = -1;
  let money = 0;
  let amount = 0;
  return line(bars, bars.map((bar) => {
    const today = Math.floor((bar[0] + 19_800) / 86_400);
    if (today !== day) { day = today; money = 0; amount = 0; }
    money += ((bar[2] + bar[3] + bar[4]) / 3) * bar[5];
    amount += bar[5];
    return amount ? money / amount : undefined;
  }));
}

/** Bollinger bands: the upper, the middle and the lower line. */
export function bands(bars, span, width) {
  const middle = bars.map((_, at) => {
    if (at < span - 1) return undefined;
    const slice = bars.slice(at - span + 1, at + 1).map((bar) => bar[4]);
    const mean = slice.reduce((sum, value) => sum + value, 0) / span;
    const spread = Math.sqrt(slice.reduce((sum, value) => sum + (value - mean) ** 2, 0) / span);
    return [mean + width * spread, mean, mean - width * spread];
  });
  return [0, 1, 2].map((part) => line(bars, middle.map((values) => values?.[part])));
}
