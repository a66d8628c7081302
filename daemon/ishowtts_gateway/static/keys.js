// Keyboard shortcuts, the dialog that lists them, and the switch of the colour scheme.

import { byId, icon, make } from "./dom.js";
import { object } from "./format.js";

const THEMES = { auto: ["light", "Colours as the system has them"], light: ["dark", "Light colours"], dark: ["auto", "Dark colours"] };
const SHORTCUTS = [
  ["/", "Write a line"], ["Ctrl Enter", "Say it"], ["p", "Pause or resume"], ["s", "Skip the line"], ["Shift X", "Stop: end all lines"],
  ["r", "Replay the last line"], ["m", "Mute or unmute"], ["+ −", "Volume"], ["[ ]", "Board before or after"], ["?", "This help"],
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
  const mayCommand = (action) => () => object(store.device?.controls).command === true && action();
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
    if (event.key !== "?" && !stored(KEY, true)) return;
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
    make("dt", {}, ...keys.split(" ").map((key) => make("kbd", { textContent: key }))), make("dd", { textContent: words })));
  const toggle = make("input", { type: "checkbox", checked: stored(KEY, true), onchange: () => keep(KEY, toggle.checked) });
  dialog.replaceChildren(
    make("h2", { id: "help-title", textContent: "Keyboard shortcuts" }),
    make("dl", { className: "shortcuts" }, ...rows),
    make("label", { className: "tick" }, toggle, "Use these keys (not while you type)"),
    make("h2", { textContent: "What the page shows" }),
    make("p", { textContent: "RTF, the real-time factor, is the time of synthesis divided by the length of the sound. Below 1, speech has no gaps." }),
    make("p", { textContent: "First sound is the time from the moment when a line was next until it was heard." }),
    make("p", { textContent: "A press on the name of an author shows what can be done about their lines." }),
    make("div", { className: "dialog-actions" }, make("button", { type: "button", className: "button", textContent: "Close", onclick: () => dialog.close() })),
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
  let theme = stored("theme", "auto");
  if (!Object.hasOwn(THEMES, theme)) theme = "auto";
  show(theme);
  control.addEventListener("click", () => {
    [theme] = THEMES[theme];
    keep("theme", theme);
    show(theme);
  });
}

function stored(name, fallback) {
  try {
    const value = localStorage.getItem(name);
    if (value === null) return fallback;
    return typeof fallback === "boolean" ? value === "true" : value;
  } catch {
    return fallback;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(name, String(value));
  } catch {
    // Storage may be forbidden: the choice then lasts until the page is closed.
  }
}
