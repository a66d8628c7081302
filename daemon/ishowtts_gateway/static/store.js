// What the page knows: the boards, the connection, and which board is shown. Views subscribe and read.

import { entry, moment, number, object, text } from "./format.js";

const MAX_LINES = 1500; // of a board
const MAX_POINTS = 20_000; // an hour at 0.2 s, the shortest interval
const HOUR_S = 3600;
const PAUSE_MS = 50; // between two drawings
const ACTIVE = new Set(["waiting", "speaking", "interrupted"]);

/** Whether a line has not ended yet. */
export const isActive = (line) => ACTIVE.has(line.status);

/** The state of the page. */
export class Store {
  constructor() {
    this.boards = new Map();
    this.broker = { connected: null, detail: null, since: null };
    this.link = { state: "connecting", since: Date.now(), detail: null };
    this.gateway = { version: null, started: null };
    this.selected = null;
    this.listeners = [];
    this.skew_s = 0;
    this.pending = null;
  }

  /** The snapshot of the board that is shown, or null. */
  get device() {
    return this.boards.get(this.selected) ?? null;
  }

  /** Whether the gateway may `say`, `command`, read the `history` or change `voices` on the board that is shown. */
  may(what) {
    return object(this.device?.controls)[what] === true;
  }

  /** Calls `listener` after changes. */
  subscribe(listener) {
    this.listeners.push(listener);
  }

  /** The time by the gateway's clock, in seconds: that of this machine may be wrong. */
  now_s() {
    return Date.now() / 1000 + this.skew_s;
  }

  /** Tells the views soon, once for all changes until then. A hidden page draws no frames. */
  changed() {
    this.pending ??= setTimeout(() => requestAnimationFrame(() => {
      this.pending = null;
      for (const listener of this.listeners) {
        // A view that cannot draw what a board has sent must not keep the others from theirs.
        try {
          listener();
        } catch (error) {
          reportError(error);
        }
      }
    }), PAUSE_MS);
  }

  /** Sets how the connection to the gateway is: `connecting`, `live` or `lost`. */
  setLink(state, detail = null) {
    const since = state === this.link.state ? this.link.since : Date.now();
    this.link = { state, since, detail };
    this.changed();
  }

  /** Why the values of a board are outdated, as `{reason, since}`; null if they are current. */
  outdated(board) {
    if (this.link.state === "lost") return { reason: "gateway", since: this.link.since };
    if (this.broker.connected === false) return { reason: "broker", since: this.broker.since };
    if (board && board.availability === "offline") return { reason: "board", since: board.offlineSince };
    return null;
  }

  /** Shows another board. */
  select(name) {
    if (name === this.selected) return;
    this.selected = name;
    this.changed();
  }

  /** Takes one event of the stream. */
  apply(kind, data) {
    const handler = { hello: this.onHello, broker: this.onBroker, device: this.onDevice, line: this.onLine,
      telemetry: this.onTelemetry, gone: this.onGone }[kind];
    if (!handler) return;
    handler.call(this, object(data));
    this.changed();
  }

  onHello(data) {
    const before = this.boards;
    this.boards = new Map();
    this.gateway = { version: text(data.version), started: moment(data.started) };
    this.onBroker(object(data.broker));
    for (const snapshot of Array.isArray(data.devices) ? data.devices : []) {
      const name = text(object(snapshot).name);
      if (name === null) continue;
      const board = newBoard(name);
      // The charts keep what they show until the last hour is read again.
      if (name === this.selected) board.series = before.get(name)?.series ?? null;
      this.boards.set(name, board);
      this.update(board, snapshot);
      board.isFresh = false;
      // A gateway that has started again knows fewer lines than this page.
      const ended = [...(before.get(name)?.lines ?? [])].filter(([, line]) => !isActive(line));
      board.lines = new Map([...ended, ...board.lines]);
    }
    this.keepSelection();
  }

  onBroker(data) {
    const connected = data.connected === true;
    const before = this.broker;
    // When it was lost is not known if the page did not see it.
    const since = connected === before.connected ? before.since : before.connected === null ? null : Date.now();
    this.broker = { connected, detail: text(data.detail), since };
  }

  onDevice(data) {
    const name = text(data.device);
    if (name === null) return;
    if (!this.boards.has(name)) this.boards.set(name, newBoard(name));
    this.update(this.boards.get(name), object(data.fields));
    this.keepSelection();
  }

  /** Takes fields of a snapshot. `lines` becomes a map by id. */
  update(board, fields) {
    const { lines, ...rest } = fields;
    const wasOffline = board.availability === "offline";
    Object.assign(board, { ...rest, name: board.name, series: board.series });
    if (board.availability === "offline" && !wasOffline) board.offlineSince = moment(object(board.telemetry).ts) ?? Date.now();
    if ("state" in fields) {
      board.stateAt = performance.now();
      board.isFresh = true; // told now, not before the page connected
    }
    if (!Array.isArray(lines)) return;
    board.lines = new Map();
    for (const line of lines.toReversed()) addLine(board, line);
  }

  onLine(data) {
    const board = this.boards.get(data.device);
    if (!board) return;
    const before = board.lines.get(object(data.line).id);
    const line = addLine(board, data.line);
    const isNew = line && !isActive(line) && (!before || isActive(before));
    if (!isNew || number(line.rtf) === null || line.cached === true || !board.series) return;
    const now_s = this.now_s();
    const ended_s = moment(line.ended_ts) / 1000;
    // The clock of the board may be wrong.
    board.series.rtf.push([ended_s > now_s - HOUR_S && ended_s <= now_s ? ended_s : now_s, line.rtf, text(line.engine)]);
    dropOld(board.series.rtf, now_s);
  }

  onTelemetry(data) {
    const board = this.boards.get(data.device);
    const { t } = object(data.point);
    if (number(t) === null) return;
    const skew_s = t - Date.now() / 1000;
    this.skew_s = Math.abs(skew_s) > 3 ? skew_s : 0;
    if (!board?.series?.columns.length) return;
    board.series.points.push(board.series.columns.map((column) => number(data.point[column])));
    dropOld(board.series.points, t);
  }

  onGone(data) {
    this.boards.delete(data.device);
    this.keepSelection();
  }

  /** Takes the last hour of a board, as the API answers it. */
  setSeries(name, data) {
    const board = this.boards.get(name);
    if (!board) return;
    const list = (value) => (Array.isArray(value) ? value : []);
    const rows = (value) => list(value).filter((row) => number(list(row)[0]) !== null);
    board.series = { columns: list(data.columns), points: rows(data.points), rtf: rows(data.rtf) };
    this.changed();
  }

  /** Adds lines of the history. Returns how many of them were new. */
  addHistory(name, lines) {
    const board = this.boards.get(name);
    if (!board) return 0;
    const before = board.lines.size;
    for (const line of lines) if (!board.lines.has(object(line).id)) addLine(board, line, true);
    this.changed();
    return board.lines.size - before;
  }

  /** Shows the first board if the one that was shown is gone. */
  keepSelection() {
    if (this.boards.has(this.selected)) return;
    this.selected = [...this.boards.keys()].sort()[0] ?? null;
  }
}

function newBoard(name) {
  return { name, root: null, availability: null, state: null, info: null, alerts: {}, telemetry: null, volume: null,
    muted: null, voice: null, controls: null, lines: new Map(), series: null, offlineSince: null, stateAt: 0, isFresh: false };
}

/** Drops the rows of the time before the last hour, many at a time. */
function dropOld(rows, now_s) {
  const kept = rows.findIndex(([time]) => time >= now_s - HOUR_S);
  if (kept > 50 || rows.length > MAX_POINTS) rows.splice(0, Math.max(kept, rows.length - MAX_POINTS));
}

/** Inserts or replaces a line by its id. Returns it, or null if it is none. */
function addLine(board, line, isOld = false) {
  const id = text(object(line).id);
  if (id === null) return null;
  // When it ended, else when it was accepted, in ms.
  const at = moment(line.ended_ts) ?? moment(line.accepted_ts) ?? 0;
  board.lines.set(id, { ...line, at, status: text(line.status) ?? "unknown" });
  if (board.lines.size > MAX_LINES && !isOld) {
    for (const [key, old] of board.lines) {
      if (isActive(old)) continue;
      board.lines.delete(key);
      break;
    }
  }
  return board.lines.get(id);
}

/** Returns the lines that have ended, newest first. */
export function endedLines(board) {
  return [...board.lines.values()].filter((line) => !isActive(line)).sort((one, other) => other.at - one.at);
}

const RANK = { urgent: 0, high: 1, normal: 2, low: 3 };

/** Returns the lines that wait, in the order in which they are spoken. */
export function waitingLines(board) {
  const rank = (line) => (line.status === "interrupted" ? -1 : 0) + 2 * (entry(RANK, line.priority) ?? 2);
  return [...board.lines.values()]
    .filter((line) => line.status === "waiting" || line.status === "interrupted")
    .sort((one, other) => rank(one) - rank(other) || one.at - other.at);
}

/** Returns the alerts that are active, as `[name, alert]`. */
export function activeAlerts(board) {
  return Object.entries(object(board.alerts)).filter(([, alert]) => object(alert).active === true);
}
