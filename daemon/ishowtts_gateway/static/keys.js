// Keyboard shortcuts, the dialog that lists them, and the switch of the colour scheme.

import { byId, closeButton, icon, make } from "./dom.js";

const THEMES = { auto: ["light", "Colours as the system has them"], light: ["dark", "Light colours"], dark: ["auto", "Dark colours"] };
const SHORTCUTS = [
  ["/", "Write a line"], ["Enter", "Say it"], ["Shift Enter", "New line"], ["Esc", "Leave the text"], ["p", "Pause or resume"], ["s", "Skip the line"], ["Shift X", "Stop: end all lines"],
  ["r", "Replay the last line"], ["m", "Mute or unmute"], ["+ −", "Volume"], ["[ ]", "Previous or next board"], ["?", "This help"],
];
const KEY = "shortcuts";

/** Reads the keyboard, except while somebody types. */
export function mountKeys(store, controls, say) {
  mountTheme();
  const help = helpDialog();
  const neighbour = (step) => {
    const names = [...store.boards.keys()].sort();
    if (names.length > 1) location.hash = `#/${encodeURIComponent(names[(names.indexOf(store.selected) + step + names.length) % names.length])}`;
  };
  const mayCommand = (action) => () => store.may("command") && action();
  const actions = {
    "/": say.focus,
    p: mayCommand(controls.pause),
    s: mayCommand(controls.skip),
    X: mayCommand(controls.stop),
    r: mayCommand(controls.replay),
    m: mayCommand(controls.mute),
    "+": mayCommand(() => controls.volume(5)),
    "=": mayCommand(() => controls.volume(5)),
    "-": mayCommand(() => controls.volume(-5)),
    "[": () => neighbour(-1),
    "]": () => neighbour(1),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    if (event.key !== "?" && !isOn(KEY)) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  byId("help-open").addEventListener("click", () => help.showModal());
}

const isTyping = (target) => target.matches("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]");

function helpDialog() {
  const dialog = byId("help");
  const rows = SHORTCUTS.map(([keys, words]) => make("div", {},
    make("dt", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))), make("dd", {}, words)));
  const toggle = make("input", { type: "checkbox", checked: isOn(KEY), onchange: () => keep(KEY, toggle.checked) });
  dialog.replaceChildren(
    make("h2", { id: "help-title" }, "Keyboard shortcuts"),
    make("dl", "shortcuts", ...rows),
    make("label", "tick", toggle, "Use these keys (not while you type)"),
    make("p", "hint", "RTF, the real-time factor, is the time of synthesis divided by the length of the sound. Below 1, speech has no gaps. First sound is how long a line that was next took to be heard."),
    make("div", "dialog-actions", closeButton(dialog)),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}

function mountTheme() {
  const control = byId("theme");
  const show = (theme) => {
    const [, words] = THEMES[theme];
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    control.replaceChildren(icon(theme));
    control.setAttribute("aria-label", words);
    control.title = `${words}. Press to change.`;
  };
  let theme = document.documentElement.dataset.theme ?? "auto";
  show(theme);
  control.addEventListener("click", () => {
    [theme] = THEMES[theme];
    keep("theme", theme);
    show(theme);
  });
}

function isOn(name) {
  try {
    return localStorage.getItem(name) !== "false";
  } catch {
    return true;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, String(value));
  } catch {
    // Storage may be forbidden: the choice then lasts until the page is closed.
  }
}
