/* The order ticket: says on its button what one press will do, asks what it would cost, sends once. */
import { all, on, one } from "./dom.js";
import { submit } from "./forms.js";
import { inr } from "./format.js";
import { isStale, lastOf, scan } from "./painter.js";
import { ring } from "./socket.js";

const ASK_AFTER = 250;
let timer = 0;
let asked = 0;

const chosen = (form, name) => one(`input[name="${name}"]:checked`, form)?.value ?? "";
const number = (text) => Number(String(text).replaceAll(",", ""));
export const current = () => one("form[data-ticket]");

function units(form) {
  const count = number(one("[name=quantity]", form).value);
  return chosen(form, "unit") === "lots" ? count * Number(form.dataset.lot) : count;
}

/** Fields that the chosen type does not use are off and say so. */
function fit(form) {
  const type = chosen(form, "pricetype");
  for (const input of all("[data-needs]", form)) {
    const needed = input.dataset.needs.split(" ").includes(type);
    if (!needed && !input.disabled) { input.dataset.kept = input.value; input.value = ""; input.placeholder = `Not for ${type === "SL-M" ? "SL-M" : type.toLowerCase()}`; }
    if (needed && input.disabled) { input.value = input.dataset.kept ?? ""; input.placeholder = ""; }
    input.disabled = !needed;
    all("button", input.parentElement).forEach((button) => { button.disabled = !needed; });
  }
}

function label(form) {
  const side = chosen(form, "action");
  const type = chosen(form, "pricetype");
  const places = Number(form.dataset.places);
  const count = units(form);
  const price = number(one("[name=price]", form)?.value ?? "");
  const trigger = number(one("[name=trigger_price]", form)?.value ?? "");
  const last = lastOf(form.dataset.key)?.ltp;
  const at = { MARKET: last ? `at market, about ${inr(last, places)}` : "at market", LIMIT: `at ${inr(price, places)}`, SL: `at ${inr(price, places)} from ${inr(trigger, places)}`, "SL-M": `at market from ${inr(trigger, places)}` }[type] ?? "";
  const verb = side === "SELL" ? "sell" : "buy";
  const words = form.dataset.mode === "paper" ? `Paper ${verb}` : verb[0].toUpperCase() + verb.slice(1);
  const button = one("[data-submit]", form);
  if (!form.dataset.busy) button.textContent = `${words} ${inr(count, Number.isInteger(count) ? 0 : 2)} ${at}`;
  button.classList.toggle("submit-b", side !== "SELL");
  button.classList.toggle("submit-s", side === "SELL");
  const lots = one("[data-units]", form);
  if (lots) lots.textContent = chosen(form, "unit") === "lots" ? `= ${inr(count, 0)}` : `lot ${form.dataset.lot}`;
  guard(form, type);
}

/** Old prices turn orders at market off; a limit keeps the price that was written. */
function guard(form, type) {
  const blocked = (type === "MARKET" || type === "SL-M") && isStale(form.dataset.key);
  one("[data-stale-note]", form).hidden = !blocked;
  const button = one("[data-submit]", form);
  const { off } = form.dataset;
  button.disabled = Boolean(form.dataset.busy || off) || blocked;
  button.title = off || (blocked ? "Prices are old" : "");
}

async function preview(form) {
  const mine = ++asked;
  const query = new URLSearchParams(new FormData(form));
  for (const name of ["csrf_token", "idempotency_key", "back"]) query.delete(name);
  const answer = await fetch(`${form.dataset.preview}?${query}`, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
  if (mine === asked && answer?.ok && form.isConnected) one("[data-sums]", form).innerHTML = await answer.text();
}

function changed(form) {
  fit(form);
  label(form);
  clearTimeout(timer);
  timer = setTimeout(() => preview(form), ASK_AFTER);
}

async function place(form, submitter) {
  if (form.dataset.busy) return;
  form.dataset.busy = "1";
  const lock = one("[data-lock]", form);
  const button = one("[data-submit]", form);
  const before = button.textContent;
  const began = performance.now();
  const count = setInterval(() => { button.textContent = `Sending, ${((performance.now() - began) / 1000).toFixed(1)} s`; }, 100);
  button.textContent = "Sending";
  button.disabled = true;
  const sending = submit(form, submitter);
  lock.disabled = true;
  const answer = await sending;
  clearInterval(count);
  lock.disabled = false;
  button.textContent = before;
  delete form.dataset.busy;
  all("[aria-invalid]", form).forEach((input) => { input.removeAttribute("aria-invalid"); input.parentElement.removeAttribute("data-invalid"); });
  if (answer) {
    one("[name=idempotency_key]", form).value = answer.headers.get("X-Form-Key") || crypto.randomUUID();
    const field = answer.headers.get("X-Field");
    const input = field && one(`[name="${field}"]`, form);
    if (input) { input.setAttribute("aria-invalid", "true"); input.parentElement.setAttribute("data-invalid", ""); input.focus(); }
    if (answer.ok) ["orders", "positions", "funds"].forEach((what) => ring(what));
  }
  changed(form);
}

/** Turn the ticket to a side, e.g. by the B and S keys. */
export function turn(side) {
  const form = current();
  const radio = form && one(`input[name=action][value=${side}]`, form);
  if (!radio) return false;
  radio.checked = true;
  changed(form);
  return true;
}

/** After a ticket arrived: read it, ask what it would cost. */
export function begin() {
  const form = current();
  if (form) changed(form);
}

export function start() {
  on("input", "form[data-ticket]", changed);
  on("change", "form[data-ticket]", changed);
  on("change", "form[data-ticket-change]", fit);
  on("submit", "form[data-ticket]", (form, event) => { event.preventDefault(); place(form, event.submitter); });
  on("click", "[data-depth] [data-at=price]", (cell) => {
    const form = current();
    const input = form && one("[name=price]", form);
    if (input && !input.disabled && form.dataset.key === cell.closest("[data-depth]").dataset.depth && cell.textContent !== "–") { input.value = cell.textContent; changed(form); }
  });
  setInterval(() => { const form = current(); if (form) label(form); }, 1000);
  all("form[data-ticket-change]").forEach(fit);
  begin();
  scan();
}
