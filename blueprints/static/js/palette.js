/* Search: words in any order; results come as a list from the server, arrows choose, Enter opens. */
import { all, one } from "./dom.js";

export function start() {
  const dialog = one("#palette");
  const input = dialog && one("input", dialog);
  const list = dialog && one("#pal-list", dialog);
  if (!input) return;
  let timer = 0;
  let asked = 0;

  async function ask() {
    const mine = ++asked;
    const words = input.value.trim();
    const answer = await fetch(`/search?part=palette&q=${encodeURIComponent(words)}`, { headers: { "X-Requested-With": "fetch" } });
    if (mine !== asked) return;
    if (answer.status === 401) { location.assign("/login"); return; }
    if (answer.ok) { list.innerHTML = await answer.text(); choose(0); }
  }

  const options = () => all("[role=option]", list);
  function choose(index) {
    const found = options();
    found.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    const chosen = found[index];
    if (chosen) { input.setAttribute("aria-activedescendant", chosen.id); chosen.scrollIntoView({ block: "nearest" }); } else input.removeAttribute("aria-activedescendant");
  }
  const at = () => options().findIndex((option) => option.getAttribute("aria-selected") === "true");

  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 90); });
  input.addEventListener("keydown", (event) => {
    const count = options().length;
    if (event.key === "ArrowDown" && count) { choose((at() + 1) % count); event.preventDefault(); }
    if (event.key === "ArrowUp" && count) { choose((at() - 1 + count) % count); event.preventDefault(); }
    // A search field would only empty itself.
    if (event.key === "Escape") { event.preventDefault(); dialog.close(); }
    if (event.key === "Enter") { event.preventDefault(); one("a", options()[Math.max(0, at())] ?? dialog)?.click(); }
  });
  dialog.addEventListener("opened", () => { input.select(); input.focus(); ask(); });
}
