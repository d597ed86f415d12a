/* The playground: requests sent without leaving the page, and the stream as its messages come. */
import { all, on, one, send } from "./dom.js";
import { ask } from "./forms.js";

const MOST_LINES = 200;

async function play(form, submitter) {
  if (form.dataset.busy) return;
  const question = submitter?.dataset.ask;
  if (question && !(await ask(question, "Send"))) return;
  form.dataset.busy = "1";
  const language = one(".codes input:checked")?.value;
  try {
    const answer = await send(form.getAttribute("action"), new URLSearchParams(new FormData(form)));
    if (answer.status === 401 || answer.redirected) { location.assign("/login"); return; }
    const holder = document.createElement("template");
    holder.innerHTML = answer.text;
    all("template[data-part]", holder.content).forEach((part) => {
      one(`#${part.dataset.part}`).replaceChildren(part.content);
      if (part.dataset.nextKey) one("[name=idempotency_key]", form).value = part.dataset.nextKey;
    });
    const chosen = language && one(`.codes input[value="${language}"]`);
    if (chosen) chosen.checked = true;
  } finally {
    delete form.dataset.busy;
  }
}

/* -- the stream */
let socket = null;

const log = () => one("[data-stream-log]");

function print(direction, text) {
  const line = document.createElement("div");
  for (const [name, words] of [["t", new Date().toLocaleTimeString("en-GB", { timeZone: "Asia/Kolkata" })], ["lv", direction], ["m", text]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = words;
    line.append(part);
  }
  const place = log();
  const follows = place.scrollTop + place.clientHeight >= place.scrollHeight - 24;
  place.append(line);
  while (place.childElementCount > MOST_LINES) place.firstElementChild.remove();
  if (follows) place.scrollTop = place.scrollHeight;
}

function say(message, shown = message) {
  socket.send(JSON.stringify(message));
  print("sent", JSON.stringify(shown));
}

function state(words, kind = "") {
  const tag = one("[data-stream-state]");
  tag.textContent = words;
  tag.className = `tag ${kind}`;
  one("[data-stream-go]").textContent = socket ? "Unsubscribe" : "Subscribe";
}

const wanted = () => one("[data-stream-keys]").value.split(/[\s,]+/).filter((key) => key.includes(":")).slice(0, 20)
  .map((key) => ({ exchange: key.slice(0, key.indexOf(":")).toUpperCase(), symbol: key.slice(key.indexOf(":") + 1).toUpperCase() }));

async function open() {
  const token = one("meta[name=csrf-token]")?.content ?? "";
  const answer = await send("/shell/socket", new URLSearchParams({ csrf_token: token }));
  if (!answer.ok) { print("error", "The stream is not open to this session"); return; }
  const { ticket, url } = JSON.parse(answer.text);
  socket = new WebSocket(url);
  state("Opening");
  socket.addEventListener("open", () => say({ action: "authenticate", ticket }, { action: "authenticate", api_key: "YOUR_API_KEY" }));
  socket.addEventListener("message", (event) => {
    print("heard", event.data);
    const message = JSON.parse(event.data);
    if (message.type !== "auth" || message.status !== "success") return;
    state("Open", "tag-up");
    say({ action: "subscribe", mode: Number(one("[data-stream-mode]").value), symbols: wanted() });
  });
  socket.addEventListener("close", () => { socket = null; state("Closed"); });
}

export function start() {
  on("submit", "form[data-play]", (form, event) => { event.preventDefault(); play(form, event.submitter); });
  on("keydown", "form[data-play] textarea", (area, event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); area.form.requestSubmit(one("button.btn-primary", area.form)); }
  });
  one("[data-stream]").hidden = false;
  on("click", "[data-stream-go]", () => { if (socket) socket.close(); else open(); });
  on("click", "[data-stream-clear]", () => log().replaceChildren());
}
