// The boards, if there are several: what each does, and which one is shown.

import { byId, foreign, icon, keyed, make, setData, setText, tone } from "./dom.js";
import { count, entry, figure, number, object, text } from "./format.js";
import { activeAlerts } from "./store.js";

const WORDS = { starting: "Starting", warming: "Warming up", ready: "Ready", speaking: "Speaking", paused: "Paused", degraded: "Degraded" };
const FILTER_FROM = 9; // boards; fewer are found at a glance

/** Returns what a board does, as `[state, word]`. */
export function boardState(board) {
  if (board.availability === "offline") return ["offline", "Offline"];
  const state = object(board.state);
  if (board.availability !== "online" && state.state === undefined) return ["unknown", "Unknown"];
  if (state.paused === true) return ["paused", "Paused"];
  if (text(object(state.speaking).id) !== null) return ["speaking", "Speaking"];
  const word = entry(WORDS, state.state);
  return word === null ? ["unknown", "Unknown"] : [state.state, word];
}

/** Shows a tile for each board, and keeps the address of the page at the board that is shown. */
export function mountBoards(store) {
  const nav = byId("boards");
  const filter = make("input", { type: "search", className: "input", placeholder: "Find a board", "aria-label": "Find a board", oninput: () => render() });
  const summary = make("p");
  const head = make("div", { className: "boards-head", hidden: true }, summary, filter);
  const list = make("ul", { className: "boards-list", role: "list" });
  nav.append(head, list);

  const render = () => {
    const boards = [...store.boards.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
    nav.hidden = boards.length < 2;
    head.hidden = boards.length < FILTER_FROM;
    setText(summary, summaryOf(boards));
    const wanted = head.hidden ? "" : filter.value.trim().toLowerCase();
    const shown = boards.filter((board) => board.name.includes(wanted));
    setData(nav, "many", !head.hidden);
    keyed(list, shown.map((board) => tileOf(store, board)), (tile) => tile.name, createTile, updateTile);
    byId("empty").hidden = boards.length > 0 || store.link.state !== "live";
    keepAddress(store);
  };
  store.subscribe(render);
  addEventListener("hashchange", () => store.select(addressed() ?? store.selected));
  store.select(addressed());
}

/** Returns the board that the address of the page names, or null. */
function addressed() {
  try {
    return text(decodeURIComponent(location.hash.replace(/^#\/?/, "")));
  } catch {
    return null;
  }
}

let kept = null;

/** Writes the board into the address, once: the address may be newer than the board if somebody has just chosen one. */
function keepAddress({ boards, selected }) {
  if (boards.size < 2 || selected === kept) return;
  kept = selected;
  if (addressed() !== selected) history.replaceState(null, "", `#/${encodeURIComponent(selected)}`);
}

function summaryOf(boards) {
  const offline = boards.filter((board) => board.availability === "offline").length;
  const alerting = boards.filter((board) => activeAlerts(board).length > 0).length;
  const parts = [count(boards.length, "board")];
  if (offline) parts.push(`${offline} offline`);
  if (alerting) parts.push(`${alerting} with alerts`);
  return parts.join(", ");
}

/** What a tile shows. */
function tileOf(store, board) {
  const [state, word] = boardState(board);
  const telemetry = object(board.telemetry);
  return {
    name: board.name,
    isSelected: board.name === store.selected,
    state,
    word,
    line: state === "speaking" ? (text(object(object(board.state).speaking).text)?.slice(0, 200) ?? null) : null,
    waiting: number(object(board.state).queue_depth),
    temperature_c: number(object(telemetry.gpu).temp_c) ?? number(object(telemetry.cpu).temp_c),
    alerts: activeAlerts(board).length,
  };
}

function createTile(tile) {
  const link = make("a", { href: `#/${encodeURIComponent(tile.name)}`, className: "tile" });
  return make("li", {}, link);
}

function updateTile(item, tile) {
  const link = item.firstChild;
  setData(link, "tone", tone(tile.state));
  if (tile.isSelected) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
  link.replaceChildren(
    make("span", "tile-name", tile.name),
    make("span", "tile-state", make("span", "dot"), tile.word),
    make("span", "tile-line", foreign(tile.line ?? "")),
    make("span", "tile-facts",
      tile.waiting ? make("span", {}, `${tile.waiting} waiting`) : null,
      tile.temperature_c === null ? null : make("span", {}, figure(tile.temperature_c, 0, "°C")),
      tile.alerts ? make("span", "tile-alerts", icon("alert"), count(tile.alerts, "alert")) : null),
  );
}
