/* Forms that act: sent once, locked while in flight, answered by a toast. Without this script they are plain posts. */
import { all, on, one, send } from "./dom.js";
import { addToasts } from "./frame.js";
import { ring } from "./socket.js";

const PATIENCE = 20_000;

/** POST a form and show what came of it. Resolves to the answer, or null when none came. */
export async function submit(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const timeout = new Promise((_, fail) => setTimeout(() => fail(new Error("no answer")), PATIENCE));
  try {
    const answer = await Promise.race([send(submitter?.getAttribute("formaction") ?? form.getAttribute("action"), body), timeout]);
    if (answer.status === 401) { location.assign("/login"); return null; }
    addToasts(answer.text);
    return answer;
  } catch {
    addToasts(toast("warn", "No answer yet", "The server did not answer. Sending the same form again does not order twice; look at Orders first."));
    return null;
  }
}

export function toast(kind, title, text) {
  const box = document.createElement("div");
  box.className = `toastx toastx-${kind}`;
  box.setAttribute("role", kind === "up" || kind === "info" ? "status" : "alert");
  box.dataset.toast = kind;
  const words = document.createElement("div");
  words.className = "flex-1";
  const head = document.createElement("b");
  head.className = "font-medium";
  head.textContent = title;
  const rest = document.createElement("div");
  rest.className = "text-xs text-muted";
  rest.textContent = text;
  words.append(head, rest);
  const close = document.createElement("button");
  close.className = "btn btn-xs btn-ghost btn-square";
  close.dataset.dismiss = "";
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  close.textContent = "×";
  box.append(words, close);
  return box.outerHTML;
}

/** Ask in a dialog; resolves true only when the person says yes. */
export function ask(words, yes) {
  const dialog = one("#ask");
  if (!dialog) return Promise.resolve(true);
  one("[data-ask-words]", dialog).textContent = words;
  const button = one("[data-ask-yes]", dialog);
  button.textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  button.focus();
  return new Promise((answer) => dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true }));
}

async function act(form, submitter) {
  if (form.dataset.busy) return;
  const question = submitter?.dataset.ask ?? form.dataset.ask;
  if (question && !(await ask(question, submitter?.textContent.trim() || "Yes"))) return;
  form.dataset.busy = "1";
  const buttons = all("button", form);
  const sending = submit(form, submitter ?? undefined);
  buttons.forEach((button) => { button.disabled = true; });
  const answer = await sending;
  buttons.forEach((button) => { button.disabled = false; });
  delete form.dataset.busy;
  if (answer?.ok) ["orders", "positions", "funds"].forEach((what) => ring(what));
}

export function start() {
  on("submit", "form[data-send]", (form, event) => { event.preventDefault(); act(form, event.submitter); });
  on("submit", "form:not([data-send], [data-ticket], [data-quiet], [data-play])", async (form, event) => {
    const question = event.submitter?.dataset.ask;
    if (!question || form.dataset.sure) return;
    event.preventDefault();
    const { submitter } = event;
    if (await ask(question, submitter.textContent.trim())) { form.dataset.sure = "1"; form.requestSubmit(submitter); }
  });
  on("change", "[data-check-all]", (box) => all(`input[name="${box.dataset.checkAll}"]`, box.form ?? box.closest("section") ?? document).forEach((one) => { if (!one.disabled) one.checked = box.checked; }));
}
