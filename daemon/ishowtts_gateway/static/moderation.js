// Ends single lines, and all lines of one author.

import { send } from "./controls.js";
import { button, byId, closeButton, clip, foreign, iconButton, make } from "./dom.js";
import { count, text } from "./format.js";
import { isActive } from "./store.js";

const MAX_NAME = 40;

/** Returns a button that ends a line, or null if it is not allowed. `status` shows the answer. */
export function cancelButton(store, api, line, status) {
  if (!store.may("command")) return null;
  const control = iconButton("cancel", "Cancel this line", () => send(store, api, control, status, { command: "cancel", id: line.id }, "Cancelled"));
  return control;
}

/** Returns the name of an author, as a button that opens what can be done about them. */
export function authorName(line, open) {
  const author = text(line.author);
  if (author === null) return null;
  const name = foreign(clip(author, MAX_NAME), "author-name");
  return make("button", { type: "button", className: "link", "aria-haspopup": "dialog", onclick: () => open(author) }, name);
}

/** Makes the dialog about an author. Returns `open(author)`. `filter(author)` shows only their lines. */
export function mountAuthorDialog(store, api, filter) {
  const dialog = byId("author");
  return (author) => {
    const lines = [...(store.device?.lines.values() ?? [])].filter((line) => line.author === author);
    const waiting = lines.filter(isActive).length;
    const status = make("p", { className: "answer", role: "status" });
    const cancel = button("cancel", "Cancel all lines of this author", { className: "button danger", onclick: () => send(store, api, cancel, status, { command: "cancel", author }, "Cancelled") });
    const only = button(null, "Show only their lines", { onclick: () => {
      filter(author);
      dialog.close();
    } });
    dialog.replaceChildren(
      make("h2", { id: "author-title" }, foreign(clip(author, 120))),
      make("p", {}, `${count(lines.length, "line")} known, ${waiting || "none"} of them waiting or being said.`),
      make("p", "hint", "Later lines of this author are still spoken."),
      make("div", "dialog-actions", store.may("command") ? cancel : null, only, closeButton(dialog)),
      status,
    );
    dialog.showModal();
  };
}
