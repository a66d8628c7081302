// What is being said now, and how far it is.

import { boardState } from "./boards.js";
import { badge, byId, clip, expandable, foreign, make, setData, setText } from "./dom.js";
import { clockTime, engineName, entry, moment, number, object, position, text } from "./format.js";
import { authorName } from "./moderation.js";
import { endedLines } from "./store.js";

const TICK_MS = 250;
const ANNOUNCE_MS = 4000;
const MAX_SHOWN = 420; // visible characters of the line before a cut
const SILENT = { no_device: "No device", muted: "Muted", volume_0: "Volume is 0", card_muted: "Sound card muted", card_volume_0: "Sound card at 0 %", silent_device: "Silent device" };

/** Shows the line that is spoken, with its progress; else what was spoken last. */
export function mountNow(store, openAuthor) {
  const progress = new Progress();
  const announce = announcer();
  let shown = "";
  const render = () => {
    const board = store.device;
    byId("now").hidden = board === null;
    if (!board) return;
    const state = object(board.state);
    const speaking = text(object(state.speaking).id) === null || board.availability === "offline" ? null : state.speaking;
    progress.update(board, speaking, state.paused === true, store.outdated(board) !== null);
    const pills = pillsOf(board, state);
    const last = speaking ? null : (endedLines(board).find((line) => line.status === "finished") ?? null);
    const line = speaking ? board.lines.get(speaking.id) : null;
    // Not the progress: a new element would close what somebody has opened.
    const { played_s, left_s, segment, segments, ...told } = speaking ?? {};
    const wanted = JSON.stringify([board.name, told, pills, last, state.detail, line]);
    if (wanted === shown) return;
    shown = wanted;
    setText(byId("now-board"), board.name);
    byId("state").replaceChildren(...pills.map(([kind, word]) => badge(kind, make("span", "dot"), word)));
    byId("now-body").replaceChildren(...(speaking ? spoken(speaking, line, openAuthor) : idle(pills[0][0], state, last)));
    announce(store, speaking);
  };
  store.subscribe(render);
  setInterval(() => document.hidden || progress.draw(), TICK_MS);
}

function pillsOf(board, state) {
  const pills = [boardState(board)];
  if (pills[0][0] === "offline") return pills;
  if (state.state === "degraded" && pills[0][0] !== "degraded") pills.push(["degraded", "Degraded"]);
  if (board.muted === true || state.muted === true) pills.push(["muted", "Muted"]);
  else if (state.audible === false) pills.push(["muted", entry(SILENT, state.silent) ?? "Cannot be heard"]);
  return pills;
}

function spoken(speaking, line, openAuthor) {
  const words = text(speaking.text);
  const author = text(speaking.author) ?? text(line?.author);
  const size = words === null || words.length >= 60 ? (words?.length >= 180 ? "long" : "medium") : "short";
  const since = moment(speaking.since) ?? moment(line?.started_ts);
  const facts = [
    ["Voice", text(speaking.voice)],
    ["Engine", text(speaking.engine) && engineName(speaking.engine)],
    ["Since", since && clockTime(since)],
    ["Priority", line?.priority === "normal" ? null : text(line?.priority)],
  ];
  return [
    make("p", "now-author", authorName({ author }, openAuthor)),
    make("p", { className: "now-text", "data-size": size }, words === null ? "A line whose text is private." : expandable(words, MAX_SHOWN)),
    make("dl", "now-facts", ...facts.filter(([, value]) => value).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, foreign(value))))),
  ];
}

const IDLE = {
  offline: ["Offline.", "This board does not answer. On it, run: sudo ishowtts doctor"],
  unknown: ["Not known.", "This board has not told what it does."],
  starting: ["Starting.", "It loads what the first line needs."],
  warming: ["Warming up.", "The engine that leads is prepared. Another one speaks until then."],
  paused: ["Paused.", "Lines wait until speech is resumed."],
};

/** Returns what is shown if nothing is spoken. `kind` is the state of the board. */
function idle(kind, state, last) {
  const [title, hint] = entry(IDLE, kind) ?? ["Nothing is being said.", ""];
  const detail = kind === "starting" || kind === "warming" ? text(state.detail) : null;
  const words = text(last?.text);
  return [
    make("p", { className: "now-text quiet", "data-size": "short" }, title),
    make("p", "now-hint", foreign(detail ?? hint)),
    words === null ? "" : make("p", "now-last", make("span", "label", "Last line"), foreign(clip(words, 140)),
      make("span", "label", last.at ? clockTime(last.at) : "")),
  ];
}

/** Tells screen readers which line is spoken: the newest, at most every 4 s. */
function announcer() {
  let told = null;
  let timer = null;
  let next = null;
  const tell = () => {
    timer = null;
    if (next === null || next.id === told) return;
    told = next.id;
    const words = clip(next.words, 200);
    byId("announce-now").replaceChildren(foreign(next.author ? `${next.author}: ${words}` : words));
    timer = setTimeout(tell, ANNOUNCE_MS);
  };
  return (store, speaking) => {
    if (store.link.state !== "live" || !speaking) return;
    next = { id: speaking.id, words: text(speaking.text) ?? "A private line", author: text(speaking.author) };
    if (timer === null) tell();
  };
}

/** How far the line is: what the board told last, and the time since then. */
class Progress {
  constructor() {
    this.bar = byId("progress");
    this.fill = this.bar.firstElementChild;
    this.words = byId("progress-text").children;
    this.mark = null; // what the board told last
    this.line = null;
    this.base_s = 0;
    this.base_at = 0;
    this.isRunning = false;
    this.shown = 0;
  }

  update(board, speaking, isPaused, isOutdated) {
    this.bar.hidden = byId("progress-text").hidden = speaking === null;
    if (speaking === null) {
      this.mark = this.line = null;
      return;
    }
    const isRunning = !isPaused && !isOutdated && speaking.since !== null; // null before its first sound
    const mark = JSON.stringify([board.name, speaking]);
    if (mark !== this.mark) {
      if (this.line?.id !== speaking.id) this.shown = 0;
      this.mark = mark;
      this.line = speaking;
      this.base_s = board.isFresh ? (number(speaking.played_s) ?? 0) : startOf(speaking, isRunning);
      this.base_at = board.stateAt;
    } else if (isRunning !== this.isRunning) {
      this.base_s = this.isRunning ? this.played() : this.base_s;
      this.base_at = performance.now();
    }
    this.isRunning = isRunning;
    this.draw();
  }

  played() {
    return this.isRunning ? this.base_s + (performance.now() - this.base_at) / 1000 : this.base_s;
  }

  draw() {
    if (this.line === null) return;
    const [segment, segments] = [number(this.line.segment), number(this.line.segments)];
    const told_s = number(this.line.played_s);
    const left_s = number(this.line.left_s);
    const total_s = told_s !== null && left_s !== null ? told_s + left_s : null;
    const played_s = this.played();
    let share = null;
    if (total_s) share = Math.min(played_s / total_s, 0.995);
    else if (segment && segments) share = Math.min((segment - 1) / segments, 1);
    setData(this.bar, "unknown", share === null);
    // An estimate that grows must not push the bar back while the line goes on.
    this.shown = share === null ? 0 : Math.max(share, this.shown);
    this.fill.style.transform = `scaleX(${this.shown.toFixed(4)})`;
    const percent = Math.round(this.shown * 20) * 5;
    if (share === null) this.bar.removeAttribute("aria-valuenow");
    else if (this.bar.getAttribute("aria-valuenow") !== String(percent)) this.bar.setAttribute("aria-valuenow", percent);
    setText(this.words[0], this.line.since === null ? "Preparing" : told_s === null ? "" : position(Math.min(played_s, total_s ?? played_s)));
    setText(this.words[1], segments > 1 && segment !== null ? `Segment ${segment} of ${segments}` : "");
    setText(this.words[2], total_s === null ? "" : `about ${position(Math.ceil(Math.max(0, total_s - played_s)))} left`);
  }
}

/** Returns the seconds that were played before the page connected: the board told them when the segment began. */
function startOf(speaking, isRunning) {
  const told_s = number(speaking.played_s) ?? 0;
  const since = moment(speaking.since);
  if (!isRunning || since === null) return told_s;
  const left_s = number(speaking.left_s) ?? 0;
  const passed_s = (Date.now() - since) / 1000;
  // Interruptions, pauses and clocks that differ make this too large: it stays within what is left.
  return passed_s > told_s && passed_s < told_s + left_s ? passed_s : told_s;
}
