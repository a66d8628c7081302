// Charts of the last hour. The pointer or the arrow keys choose a time, whose values they then show.

import { Chart } from "./chart.js";
import { answer, byId, closeButton, make, setText } from "./dom.js";
import { clockTime, figure, number, object } from "./format.js";
import { endedLines } from "./store.js";

const HOUR_S = 3600;
const REDRAW_MS = 5000; // the time axis moves on, also without telemetry
const STEP_S = 60;
const BLOCK_S = 300; // of a row in the table
/** What is drawn. `floor`: what the axis covers at least. */
const PANELS = [
  { id: "rtf", title: "RTF per line", digits: 2, unit: "", floor: [0, 1.2], limit: 1, dots: true },
  { id: "clock", title: "GPU clock", digits: 0, unit: "MHz", floor: [0, 500], lines: [["gpu_max_mhz", "max", "max"], ["gpu_mhz", "now", "a"]] },
  { id: "temperature", title: "Temperature", digits: 0, unit: "°C", floor: [30, 60], lines: [["cpu_c", "CPU", "b"], ["gpu_c", "GPU", "a"]] },
  { id: "load", title: "Load", digits: 0, unit: "%", floor: [0, 100], lines: [["cpu_load_pct", "CPU", "b"], ["gpu_load_pct", "GPU", "a"]] },
  { id: "power", title: "Power", digits: 1, unit: "W", floor: [0, 20], lines: [["power_w", "", "a"]] },
  { id: "queue", title: "Lines that wait", digits: 0, unit: "", floor: [0, 4], lines: [["queue_depth", "", "a"]], steps: true },
];

/** Shows the charts of the board. The last hour is read if another board is chosen, and after a reconnect. */
export function mountCharts(store, api) {
  const grid = byId("charts-grid");
  const status = byId("charts-answer");
  const charts = PANELS.map((panel) => new Chart(panel));
  grid.append(...charts.map((chart) => chart.element));
  let cursor = null; // a time in seconds
  let read = null; // what was read: the board and the connection
  let shown = "";

  const draw = () => {
    const board = store.device;
    byId("charts").hidden = board === null;
    if (!board) return;
    const outdated = store.outdated(board);
    const end = outdated?.since ? outdated.since / 1000 + store.skew_s : store.now_s();
    for (const chart of charts) chart.draw(board.series, end, cursor, object(board.info).telemetry_s);
    setText(byId("charts-time"), cursor === null ? "" : `at ${clockTime(cursor * 1000)}`);
  };
  const load = async () => {
    const board = store.device;
    if (!board || store.link.state !== "live") return;
    const wanted = `${board.name} ${store.link.since}`;
    if (wanted === read) return;
    read = wanted;
    const newest = () => endedLines(board)[0]?.id;
    const before = newest();
    try {
      const series = object(await api.series(board.name));
      if (newest() !== before) read = null; // it may lack the line that ended meanwhile
      store.setSeries(board.name, series);
      answer(status, null, "");
    } catch (error) {
      if (read === wanted) answer(status, "bad", `The last hour cannot be read: ${error.message}`);
      if (!board.series) store.setSeries(board.name, {});
    }
  };
  const choose = (seconds) => {
    cursor = seconds;
    draw();
  };

  store.subscribe(() => {
    load();
    const { points, rtf } = store.device?.series ?? {};
    const wanted = JSON.stringify([store.selected, store.outdated(store.device), points?.at(-1), rtf?.at(-1)]);
    if (wanted === shown) return;
    shown = wanted;
    draw();
  });
  setInterval(() => document.hidden || draw(), REDRAW_MS);
  new ResizeObserver(draw).observe(grid);
  grid.addEventListener("pointermove", (event) => choose(timeAt(charts, event)));
  grid.addEventListener("pointerleave", () => choose(null));
  grid.addEventListener("blur", () => choose(null));
  grid.addEventListener("keydown", (event) => {
    const now = store.now_s();
    const step = { ArrowLeft: -STEP_S, ArrowRight: STEP_S, Home: -HOUR_S, End: HOUR_S, Escape: null }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    choose(step === null ? null : Math.min(now, Math.max(now - HOUR_S, (cursor ?? now) + step)));
    setText(byId("charts-words"), cursor === null ? "" : `${clockTime(cursor * 1000, false)}. ${charts.map((chart) => chart.words).join(". ")}`);
  });
  byId("charts-table-open").addEventListener("click", () => showTable(store));
}

/** Returns the time below the pointer, or null if it is on no chart. */
function timeAt(charts, event) {
  const chart = charts.find(({ svg }) => svg.contains(event.target));
  return chart ? chart.timeAt(event.clientX) : null;
}

/** Shows the mean of each value over 5 minutes as a table. */
function showTable(store) {
  const dialog = byId("charts-table");
  const { columns = [], points = [], rtf = [] } = store.device?.series ?? {};
  const wanted = PANELS.flatMap((panel) => (panel.lines ?? []).map(([column, name]) => ({ column, panel, name })));
  const head = ["Time", "RTF", ...wanted.map(({ panel, name }) => `${panel.title}${name ? `, ${name}` : ""}${panel.unit ? ` (${panel.unit})` : ""}`)];
  const rows = [];
  const end = Math.floor(store.now_s() / BLOCK_S) * BLOCK_S;
  for (let start = end; start > end - HOUR_S; start -= BLOCK_S) {
    const inside = (row) => row[0] >= start && row[0] < start + BLOCK_S;
    const block = points.filter(inside);
    const values = wanted.map(({ column, panel }) => figure(mean(block.map((row) => row[columns.indexOf(column)])), panel.digits));
    rows.push([clockTime(start * 1000, false), figure(mean(rtf.filter(inside).map((row) => row[1])), 2), ...values]);
  }
  dialog.replaceChildren(
    make("h2", { id: "charts-table-title" }, "Last hour, means over 5 minutes"),
    make("div", { className: "table-scroll", tabIndex: 0, role: "region", "aria-labelledby": "charts-table-title" },
      make("table", {},
        make("thead", {}, make("tr", {}, ...head.map((title) => make("th", { scope: "col" }, title)))),
        make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((value) => make("td", "num", value))))))),
    make("div", "dialog-actions", closeButton(dialog)),
  );
  dialog.showModal();
}

function mean(values) {
  const known = values.filter((value) => number(value) !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
