// Elements, text from outside, and lists that keep their elements. Nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const graphemes = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;

/** Returns the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Returns an element. A property starting with `on` is a listener; one with a hyphen, `role` or `for` an attribute. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
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
  return makeSvg("svg", { class: "icon", "aria-hidden": "true" }, makeSvg("use", { href: `#i-${name}` }));
}

/** Returns a button with an icon and a text. */
export function button(name, text, properties = {}) {
  return make("button", { type: "button", className: "button", ...properties }, name && icon(name), make("span", { textContent: text }));
}

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
  return make("bdi", { className, dir: "auto", textContent: text });
}

/** Returns the first `limit` visible characters of a text, or null if it has no more. */
export function cut(text, limit) {
  if (text.length <= limit) return null;
  let end = 0;
  let count = 0;
  // A visible character may have hundreds of marks above it: those beyond 8 of each are not worth their room.
  for (const part of graphemes ? graphemes.segment(text.slice(0, limit * 8)) : Array.from(text, (segment) => ({ segment }))) {
    if (count === limit) return text.slice(0, end);
    count += 1;
    end += part.segment.length;
  }
  return end < text.length ? text.slice(0, end) : null;
}

/** Returns a text from outside that is cut after `limit` characters, with a button that shows the rest. */
export function expandable(text, limit, className) {
  const short = cut(text, limit);
  if (short === null) return foreign(text, className);
  const shown = foreign(`${short}…`, className);
  const toggle = make("button", { type: "button", className: "link", textContent: "Show all", "aria-expanded": "false" });
  toggle.addEventListener("click", () => {
    const isOpen = toggle.getAttribute("aria-expanded") === "true";
    shown.textContent = isOpen ? `${short}…` : text;
    toggle.textContent = isOpen ? "Show all" : "Show less";
    toggle.setAttribute("aria-expanded", String(!isOpen));
  });
  return make("span", { className: "expandable" }, shown, " ", toggle);
}

/**
 * Makes the children of `parent` show `items` in order. The element of a key stays, with its focus and what is open in it.
 * `update(element, item)` fills it; an item whose `stamp` has not changed is skipped.
 */
export function keyed(parent, items, key, create, update, stamp = JSON.stringify) {
  const known = new Map();
  for (const child of parent.children) known.set(child.key, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    if (child) known.delete(name);
    else {
      child = create(item);
      child.key = name;
    }
    const mark = stamp(item);
    if (child.mark !== mark) {
      child.mark = mark;
      update(child, item);
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

/** Shows an answer in words below what was pressed. `kind` is `ok`, `bad` or `wait`. */
export function answer(node, kind, text) {
  setData(node, "kind", kind);
  node.replaceChildren(kind === "bad" ? icon("alert") : kind === "ok" ? icon("check") : "", foreign(text, "answer-text"));
  clearTimeout(node.timer);
  if (kind === "ok") node.timer = setTimeout(() => node.replaceChildren(), 8000);
}

/** Runs `action` for a button: it shows that it waits, then the answer or the error. Returns what `action` returned. */
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
