/* The code editor over a strategy's text area, which stays the form's field and stands alone without this script. */
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { one } from "./dom.js";

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "0.75rem", backgroundColor: "var(--color-base-200)", color: "var(--color-base-content)" },
  "&.cm-focused": { outline: "2px solid var(--color-accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.25rem" },
  ".cm-gutters": { backgroundColor: "var(--color-base-200)", color: "var(--faint)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--hover)" },
  ".cm-cursor": { borderLeftColor: "var(--color-base-content)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in oklab, var(--color-accent) 32%, transparent)" },
  ".cm-matchingBracket": { outline: "1px solid var(--line-strong)" },
});

function save(view) {
  const area = one("[data-editor] textarea");
  if (!area.readOnly) area.form.requestSubmit(one("button.btn-primary", area.form));
  return true;
}

export function start() {
  const area = one("[data-editor] textarea");
  const nonce = one("script[nonce]")?.nonce ?? "";
  const state = EditorState.create({
    doc: area.value,
    extensions: [
      EditorView.cspNonce.of(nonce), look, lineNumbers(), history(), drawSelection(), indentOnInput(), bracketMatching(),
      highlightActiveLine(), highlightActiveLineGutter(), indentUnit.of("    "), python(), syntaxHighlighting(classHighlighter),
      EditorState.readOnly.of(area.readOnly), EditorView.contentAttributes.of({ "aria-label": area.getAttribute("aria-label") ?? "Code" }),
      keymap.of([{ key: "Mod-s", run: save, preventDefault: true }, indentWithTab, ...defaultKeymap, ...historyKeymap]),
      EditorView.updateListener.of((update) => { if (update.docChanged) area.value = update.state.doc.toString(); }),
    ],
  });
  const holder = document.createElement("div");
  holder.className = "ed flex-1 min-h-120 overflow-hidden";
  area.hidden = true;
  area.after(holder);
  new EditorView({ state, parent: holder });
}
