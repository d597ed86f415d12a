/* Behaviour of the frame: theme, menus, dialogs, copy buttons, the clock, countdowns, toasts, hold to confirm. */
import { all, announce, on, one, root } from "./dom.js";
import { clock, inr } from "./format.js";

const HOLD = 1500;
const TOAST = 5000;

function flipTheme(event) {
  event.preventDefault();
  const next = root.dataset.theme === "light" ? "dark" : "light";
  root.dataset.theme = next;
  document.cookie = `theme=${next};path=/;max-age=31536000;samesite=lax${location.protocol === "https:" ? ";secure" : ""}`;
  all("[data-flip-theme]").forEach((button) => { button.value = next === "dark" ? "light" : "dark"; });
  document.dispatchEvent(new CustomEvent("theme", { detail: next }));
}

async function copy(button) {
  const from = one(button.dataset.copy);
  if (!from) return;
  const text = from.value ?? [...from.querySelectorAll("li")].map((item) => item.textContent).join("\n");
  try {
    await navigator.clipboard.writeText(text || from.textContent);
    announce("Copied");
    button.dataset.done = "";
    setTimeout(() => delete button.dataset.done, 1500);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(from);
    if (from.select) from.select(); else getSelection().empty(), getSelection().addRange(range);
  }
}

/** A toast that reports success goes by itself; errors and unknowns stay until closed. At most three. */
export function addToasts(html) {
  const place = one("#toasts");
  if (!place || !html) return;
  const holder = document.createElement("template");
  holder.innerHTML = html;
  place.append(holder.content);
  settleToasts();
}

export function settleToasts() {
  const toasts = all("#toasts [data-toast]");
  toasts.slice(0, -3).forEach((old) => old.remove());
  toasts.slice(-3).filter((toast) => ["up", "info"].includes(toast.dataset.toast) && !toast.dataset.timed).forEach((toast) => {
    toast.dataset.timed = "1";
    setTimeout(() => toast.remove(), TOAST);
  });
}

function holdButtons() {
  let timer = 0;
  const end = (button) => { clearTimeout(timer); timer = 0; delete button.dataset.holding; };
  const begin = (button) => {
    if (timer || button.disabled) return;
    button.dataset.holding = "";
    timer = setTimeout(() => { end(button); button.dataset.sure = "1"; button.form.requestSubmit(button); }, HOLD);
  };
  on("click", "[data-hold]", (button, event) => { if (!button.dataset.sure) event.preventDefault(); });
  on("pointerdown", "[data-hold]", (button, event) => { button.setPointerCapture?.(event.pointerId); begin(button); });
  for (const kind of ["pointerup", "pointercancel"]) on(kind, "[data-hold]", end);
  on("keydown", "[data-hold]", (button, event) => {
    if (event.key === " " || event.key === "Enter") { event.preventDefault(); begin(button); }
    if (event.key === "Escape") end(button);
  });
  on("keyup", "[data-hold]", end);
  on("focusout", "[data-hold]", end);
  labelHolds(document);
}

function tickClocks() {
  const now = new Date();
  all("[data-clock]").forEach((place) => { place.textContent = clock(now); });
  all("[data-countdown]").forEach((place) => {
    const left = 30 - (Math.floor(now.getTime() / 1000) % 30);
    place.textContent = `${left} s`;
    all("[data-countdown-bar]").forEach((bar) => { bar.value = 30 - left; });
  });
}

/** Menus are <details>: one open at a time, closed by Escape and by a click elsewhere. */
function menus() {
  document.addEventListener("click", (event) => all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; }));
  on("toggle", "details.menu", (menu) => { if (menu.open) all("details.menu[open]").forEach((other) => { if (other !== menu) other.open = false; }); }, true);
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && one("details.menu[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  });
}

export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog?.showModal) return false;
  if (!dialog.open) dialog.showModal();
  if (dialog.dataset.src) fill(dialog);
  dialog.dispatchEvent(new CustomEvent("opened"));
  return true;
}

/** A dialog whose body the server draws when it is opened; where that fails its page is opened instead. */
async function fill(dialog) {
  const answer = await fetch(dialog.dataset.src, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
  if (!answer?.ok) { location.assign(dialog.dataset.src.split("?")[0]); return; }
  one("[data-body]", dialog).innerHTML = await answer.text();
  labelHolds(dialog);
  one("[data-hold]", dialog)?.focus();
}

const labelHolds = (within) => all("[data-hold-words]", within).forEach((button) => { one("[data-hold-label]", button).textContent = button.dataset.holdWords; });

/** A button that is off until the name typed beside it matches. */
function confirms() {
  const check = (input) => { const button = one("[data-confirmed]", input.form); if (button) button.disabled = input.value.trim() !== input.dataset.confirm; };
  all("[data-confirm]").forEach(check);
  on("input", "[data-confirm]", check);
}

/** A stepped field moves by its tick or lot, with its buttons or the arrow keys. */
function step(input, by) {
  const now = Number(String(input.value).replaceAll(",", "")) || 0;
  const places = String(by).includes(".") ? Math.max(2, String(by).split(".")[1].length) : 0;
  input.value = inr(Math.max(0, now + by), places);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

/** A log that shows its newest line keeps showing it, unless somebody scrolled up to read. */
function follow() {
  const stick = () => all("[data-follow]").forEach((box) => { if (box.dataset.held !== "1") box.scrollTop = box.scrollHeight; });
  document.addEventListener("scroll", (event) => {
    const box = event.target;
    if (box instanceof Element && box.matches("[data-follow]")) box.dataset.held = box.scrollHeight - box.scrollTop - box.clientHeight > 40 ? "1" : "";
  }, true);
  document.body.addEventListener("htmx:after:swap", stick);
  stick();
}

const shown = new WeakMap();

/** The open tab of a strip that scrolls sideways stands in view; a strip that somebody moved since is left alone. */
function showOpenTabs() {
  for (const tab of all("[aria-current]")) {
    const strip = tab.parentElement;
    if (strip.scrollWidth <= strip.clientWidth || shown.get(strip) === tab.textContent) continue;
    shown.set(strip, tab.textContent);
    const [outer, inner] = [strip.getBoundingClientRect(), tab.getBoundingClientRect()];
    strip.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
}

export function start() {
  follow();
  showOpenTabs();
  document.body.addEventListener("htmx:after:swap", showOpenTabs);
  document.addEventListener("swapped", showOpenTabs);
  on("click", "[data-flip-theme]", (_, event) => flipTheme(event));
  on("click", "[data-copy]", copy);
  on("click", "[data-dismiss]", (button) => button.closest("[data-toast]")?.remove());
  on("click", "[data-close]", (button) => button.closest("dialog")?.close());
  on("click", "[data-open]", (link, event) => { if (!event.ctrlKey && !event.metaKey && openDialog(link.dataset.open)) event.preventDefault(); });
  on("click", "dialog.dlg", (dialog, event) => { if (event.target === dialog) dialog.close(); });
  on("click", "button[data-step]", (button) => step(one("input", button.parentElement), Number(button.dataset.step)));
  on("keydown", "input[data-step]", (input, event) => {
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (way) { event.preventDefault(); step(input, way * Number(input.dataset.step)); }
  });
  holdButtons();
  confirms();
  menus();
  settleToasts();
  tickClocks();
  setInterval(tickClocks, 1000);
}
