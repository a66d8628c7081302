// Elements, text from outside, and lists that keep their elements. Nothing here parses HTML.

import { sentence } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const graphemes = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;

/** Returns the element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Returns an element. `properties` is its class, or properties by name: one that starts with `on` is a listener; one with
 * a hyphen, `role` and `for` are attributes.
 */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  if (typeof properties === "string") properties = { className: properties };
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Returns an SVG element with these attributes. */
export function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Returns the icon of a symbol in index.html. */
export function icon(name) {
  return makeSvg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, makeSvg("use", { href: `#i-${name}` }));
}

/** Returns a button with an icon and a text. */
export function button(name, text, properties = {}) {
  return make("button", { type: "button", className: "button", ...properties }, name && icon(name), make("span", {}, text));
}

/** What a word means: fine, to look at, a failure. */
const TONES = {
  speaking: "accent", ready: "good", starting: "warn", loading: "warn", warming: "warn", restarting: "warn", parked: "warn", paused: "warn",
  unresponsive: "warn", muted: "warn", degraded: "warn", expired: "warn", evicted: "warn", unheard: "warn", interrupted: "warn", high: "warn",
  failed: "bad", rejected: "bad", urgent: "bad", offline: "bad", absent: "bad",
};

/** Returns the colour of a word. */
export const tone = (kind) => (Object.hasOwn(TONES, kind) ? TONES[kind] : null);

/** Returns a word on a ground whose colour tells its kind. */
export const badge = (kind, ...content) => make("span", { className: "badge", "data-kind": kind, "data-tone": tone(kind) }, ...(content.length ? content : [kind.slice(0, 20)]));

/** Sets a text if it differs, so that selections stay and screen readers hear only changes. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets or removes a `data-` attribute. */
export function setData(node, name, value) {
  if (value === null || value === undefined || value === false) delete node.dataset[name];
  else if (node.dataset[name] !== String(value)) node.dataset[name] = value;
}

/** Returns a text that somebody else wrote, isolated, in its own direction. */
export function foreign(text, className = "foreign") {
  return make("bdi", { className, dir: "auto" }, text);
}

/** Returns the first `limit` visible characters of a text, or null if it has no more. */
function cut(text, limit) {
  if (text.length <= limit) return null;
  let end = 0;
  let count = 0;
  // Eight code units for a visible character: some stack hundreds of marks.
  for (const part of graphemes ? graphemes.segment(text.slice(0, limit * 8)) : Array.from(text, (segment) => ({ segment }))) {
    if (count === limit) return text.slice(0, end);
    count += 1;
    end += part.segment.length;
  }
  return end < text.length ? text.slice(0, end) : null;
}

/** Returns a text that is cut after `limit` visible characters. */
export function clip(text, limit) {
  const short = cut(text, limit);
  return short === null ? text : `${short}…`;
}

/** Returns a text from outside, cut after `limit` characters, with a button that shows the rest. */
export function expandable(text, limit, className) {
  const short = clip(text, limit);
  if (short === text) return foreign(text, className);
  const shown = foreign(short, className);
  const toggle = make("button", { type: "button", className: "link", textContent: "Show all", "aria-expanded": "false" });
  toggle.addEventListener("click", () => {
    const isOpen = toggle.getAttribute("aria-expanded") === "true";
    shown.textContent = isOpen ? short : text;
    toggle.textContent = isOpen ? "Show all" : "Show less";
    toggle.setAttribute("aria-expanded", String(!isOpen));
  });
  return make("span", "expandable", shown, " ", toggle);
}

/** Returns a button that has only an icon. */
export function iconButton(name, label, onclick) {
  return make("button", { type: "button", className: "icon-button small", title: label, "aria-label": label, onclick }, icon(name));
}

/** Returns the button that closes a dialog. */
export const closeButton = (dialog) => button(null, "Close", { onclick: () => dialog.close() });

/**
 * Makes the children of `parent` show `items` in order. The element of a key stays, and what is open in it.
 * `update(element, item)` fills it if the `stamp` of the item has changed.
 */
export function keyed(parent, items, key, create, update, stamp = JSON.stringify) {
  const keys = new Set(items.map(key));
  const known = new Map();
  for (const child of [...parent.children]) {
    if (keys.has(child.key)) known.set(child.key, child);
    else removeChild(child);
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    const child = known.get(name) ?? Object.assign(create(item), { key: name });
    const mark = stamp(item);
    if (child.mark !== mark) {
      child.mark = mark;
      update(child, item);
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

/** Removes an item. If it had the focus, the same button of the next one gets it. */
function removeChild(child) {
  const focused = child.contains(document.activeElement) ? document.activeElement : null;
  const next = child.nextElementSibling ?? child.previousElementSibling;
  child.remove();
  if (focused && next) (next.querySelector(`.${focused.classList[0]}`) ?? next.querySelector("button"))?.focus();
}

/** Shows an answer in words below what was pressed. `kind` is `ok`, `bad` or `wait`. */
export function answer(node, kind, text) {
  const mark = { ok: "check", bad: "alert" }[kind];
  clearTimeout(node.timer);
  setData(node, "kind", kind);
  node.replaceChildren(...(text === "" ? [] : [mark ? icon(mark) : "", foreign(sentence(text))]));
  if (kind === "ok") node.timer = setTimeout(() => node.replaceChildren(), 8000);
}

/** Runs `action` for a button: it waits, then `status` shows the answer or the error. Returns `value` of the action. */
export async function run(control, status, action) {
  if (control.getAttribute("aria-busy") === "true") return undefined;
  control.setAttribute("aria-busy", "true");
  try {
    const { text, value, isRefused } = await action();
    answer(status, isRefused ? "bad" : "ok", text);
    return value;
  } catch (error) {
    answer(status, "bad", error.message);
    return undefined;
  } finally {
    control.removeAttribute("aria-busy");
  }
}
