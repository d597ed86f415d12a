/* Numbers as `blueprints/filters.py` writes them; the painter must not differ from the server by a character. */
export const MINUS = "\u2212";
export const ABSENT = "\u2013";

const formats = new Map();

function format(places) {
  if (!formats.has(places)) formats.set(places, new Intl.NumberFormat("en-IN", { minimumFractionDigits: places, maximumFractionDigits: places }));
  return formats.get(places);
}

export function inr(value, places = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return ABSENT;
  const text = format(places).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

export function signed(value, places = 2) {
  const text = inr(value, places);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

export const direction = (value) => (value > 0 ? "up" : value < 0 ? "down" : "flat");

export function age(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
}

const istClock = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const clock = (date) => istClock.format(date);
