// Ends single lines, and all lines of one author.

import { canSend, told } from "./controls.js";
import { answer, button, byId, cut, foreign, icon, make, run } from "./dom.js";
import { count, object, text } from "./format.js";
import { isActive } from "./store.js";

const MAX_NAME = 40;

/** Whether the gateway may send commands to the board that is shown. */
export const mayCommand = (store) => object(store.device?.controls).command === true;

/** Returns a button that ends one line, or null if that is not allowed. `status` shows the answer. */
export function cancelButton(store, api, line, status) {
  if (!mayCommand(store)) return null;
  const control = make("button", { type: "button", className: "icon-button small", title: "Cancel this line", "aria-label": "Cancel this line" }, icon("cancel"));
  control.addEventListener("click", () => canSend(store, status) &&
    run(control, status, async () => told(await api.command(store.selected, { command: "cancel", id: line.id }), "Cancelled")));
  return control;
}

/** Returns the name of an author, as a button that opens what can be done about them. */
export function authorName(line, open) {
  const author = text(line.author);
  if (author === null) return null;
  const short = cut(author, MAX_NAME);
  const name = foreign(short === null ? author : `${short}…`, "author-name");
  return make("button", { type: "button", className: "link author", "aria-haspopup": "dialog", onclick: () => open(author) }, name);
}

/** Makes the dialog about an author. Returns `open(author)`. `filter(author)` shows only their lines. */
export function mountAuthorDialog(store, api, filter) {
  const dialog = byId("author");
  return (author) => {
    const lines = [...(store.device?.lines.values() ?? [])].filter((line) => line.author === author);
    const waiting = lines.filter(isActive).length;
    const status = make("p", { className: "answer", role: "status" });
    const cancel = button("cancel", "Cancel all lines of this author", { className: "button danger" });
    cancel.addEventListener("click", () => canSend(store, status) &&
      run(cancel, status, async () => told(await api.command(store.selected, { command: "cancel", author }), "Cancelled")));
    const only = button(null, "Show only their lines", { onclick: () => {
      filter(author);
      dialog.close();
    } });
    const close = button(null, "Close", { onclick: () => dialog.close() });
    dialog.replaceChildren(
      make("h2", { id: "author-title" }, foreign(cut(author, 120) ?? author)),
      make("p", { textContent: `${count(waiting, "line")} wait${waiting === 1 ? "s" : ""} or ${waiting === 1 ? "is" : "are"} spoken now. This page knows ${count(lines.length, "line")} in all.` }),
      make("p", { className: "hint", textContent: "Lines that come afterwards are spoken. To keep an author out, drop their messages before they reach the board." }),
      make("div", { className: "dialog-actions" }, mayCommand(store) ? cancel : null, only, close),
      status,
    );
    answer(status, null, "");
    dialog.showModal();
  };
}
