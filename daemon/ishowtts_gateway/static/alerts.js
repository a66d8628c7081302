// The alerts of the board that is shown: what needs attention, since when, and the fix.

import { byId, expandable, icon, keyed, make, setData, setText } from "./dom.js";
import { capital, clockTime, figure, moment, number, object, text } from "./format.js";
import { activeAlerts } from "./store.js";

const ANNOUNCE_MS = 5000;
// Title, unit and digits of the value, and whether lines may be lost or unheard.
const KNOWN = new Map([
  ["throttled", ["Slowed down", "times", 0, false]],
  ["hot", ["Hot", "°C", 1, false]],
  ["clocks_unlocked", ["Clocks not locked", "", 0, false]],
  ["slow", ["Slow speech", "s for a second", 2, false]],
  ["no_sound", ["No sound", "", 0, true]],
  ["muted_card", ["Sound card muted", "", 0, true]],
  ["fallback_voice", ["Fallback voice", "", 0, false]],
  ["deaf", ["Messages do not arrive", "", 0, true]],
  ["disk_short", ["Disk almost full", "MB free", 0, true]],
]);

/** Returns the title of an alert in words. */
export const alertTitle = (name) => KNOWN.get(name)?.[0] ?? capital(name.replaceAll("_", " ")).slice(0, 60);

/** Shows the active alerts, and tells screen readers about new ones on every board. */
export function mountAlerts(store) {
  const section = byId("alerts");
  const render = () => {
    const items = store.device ? alertItems(store.device) : [];
    section.hidden = items.length === 0;
    keyed(byId("alert-list"), items, (item) => item.name, () => make("li", "alert"), updateAlert);
  };
  store.subscribe(render);
  announceNew(store);
}

function alertItems(board) {
  const items = activeAlerts(board).map(([name, alert]) => {
    const [title, unit, digits, isBad] = KNOWN.get(name) ?? [alertTitle(name), "", 1, false];
    const value = number(alert.value) === null ? null : figure(alert.value, digits, unit);
    return { name, title, isBad, value, detail: text(alert.detail), since: moment(alert.since) };
  });
  const state = object(board.state);
  const detail = text(state.detail);
  const isTold = detail !== null && items.some((item) => item.detail !== null && detail.includes(item.detail));
  if (state.state === "degraded" && detail !== null && !isTold) {
    items.push({ name: " degraded", title: "Degraded", isBad: false, value: null, detail, since: moment(state.since) });
  }
  return items.sort((one, other) => other.isBad - one.isBad);
}

function updateAlert(element, item) {
  setData(element, "tone", item.isBad ? "bad" : "warn");
  element.replaceChildren(
    icon("alert"),
    make("div", "alert-body",
      make("h3", {}, item.title, item.value && make("span", {}, item.value),
        item.since === null ? null : make("span", "alert-since", `since ${clockTime(item.since, false)}`)),
      item.detail && make("p", {}, expandable(capital(item.detail), 400))),
  );
}

/** Tells new alerts in one message, at most every 5 s. Those that were active when the page opened are not new. */
function announceNew(store) {
  let known = null;
  let timer = null;
  const news = new Set();
  store.subscribe(() => {
    if (store.link.state !== "live") return;
    const active = new Set();
    for (const board of store.boards.values()) {
      for (const [name] of activeAlerts(board)) active.add(`${board.name}: ${alertTitle(name)}`);
    }
    if (known) for (const alert of active) if (!known.has(alert)) news.add(alert);
    known = active;
    if (news.size === 0 || timer !== null) return;
    setText(byId("announce-alert"), `New alert. ${[...news].slice(0, 5).join(". ")}.`);
    news.clear();
    timer = setTimeout(() => {
      timer = null;
      store.changed();
    }, ANNOUNCE_MS);
  });
}
