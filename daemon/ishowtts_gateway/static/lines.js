// The lines that have ended, newest first, with older ones from the history of the board.

import { answer, badge, byId, clip, expandable, foreign, iconButton, keyed, make, run, setText } from "./dom.js";
import { capital, clockTime, count, duration, engineName, figure, moment, number, object, text, UNKNOWN } from "./format.js";
import { authorName } from "./moderation.js";
import { endedLines } from "./store.js";

const FEW = matchMedia("(min-width: 2300px)").matches ? 25 : 10; // a wall has room for more
const STEP = 50;
const PAGE = 100; // lines of one request
const MAX_REQUESTS = 5; // for one press: the newest pages hold lines that are known already
const MAX_SHOWN = 240; // visible characters of a line
const PROBLEMS = new Set(["failed", "rejected", "expired", "evicted"]);

/** Shows the lines. `say.sayAgain(text)` fills the box. Returns `filter(author)`. */
export function mountLines(store, api, openAuthor, say) {
  const status = byId("lines-answer");
  const older = byId("lines-older");
  const search = byId("lines-search");
  const kind = byId("lines-kind");
  byId("lines-filter").addEventListener("input", () => store.changed());
  byId("lines-filter").addEventListener("submit", (event) => event.preventDefault());
  let board = null; // name of the board that is shown
  let limit = FEW;
  let cursor = null;
  let hasMore = true;

  const render = () => {
    byId("lines").hidden = store.device === null;
    if (!store.device) return;
    if (board !== store.selected) {
      board = store.selected;
      limit = FEW;
      cursor = null;
      hasMore = true;
      answer(status, null, "");
    }
    const ended = endedLines(store.device);
    const shown = ended.filter(matcher(search.value, kind.value));
    const maySay = store.may("say");
    keyed(byId("lines-list"), shown.slice(0, limit), (line) => `${board} ${line.id}`, () => make("tr", { role: "row" }), (row, line) =>
      row.replaceChildren(...cells(line, openAuthor, maySay ? say : null)), (line) => `${maySay}${JSON.stringify(line)}`);
    byId("lines-table").hidden = shown.length === 0;
    byId("lines-empty").hidden = shown.length > 0;
    setText(byId("lines-empty"), ended.length === 0 ? "No line has ended since the gateway started." : "No line matches the filter.");
    older.hidden = shown.length <= limit && !(hasMore && store.may("history"));
  };
  older.addEventListener("click", () => {
    const matching = endedLines(store.device).filter(matcher(search.value, kind.value)).length;
    if (matching > limit) {
      limit += STEP;
      store.changed();
      return;
    }
    run(older, status, async () => {
      const name = store.selected;
      let added = 0;
      for (let request = 0; request < MAX_REQUESTS && added === 0 && hasMore; request += 1) {
        const reply = object(await api.history(name, cursor, PAGE));
        if (name !== store.selected) return { text: "" };
        added = store.addHistory(name, Array.isArray(reply.lines) ? reply.lines : []);
        cursor = reply.next ?? null;
        hasMore = cursor !== null;
      }
      limit += added;
      return { text: added ? `${count(added, "older line")}.` : hasMore ? "These lines are here already. Press again for older ones." : "There are no older lines." };
    }).then(() => store.changed());
  });
  store.subscribe(render);
  return {
    filter: (author) => {
      search.value = author;
      store.changed();
      search.focus();
    },
  };
}

function matcher(words, kind) {
  const wanted = words.trim().toLowerCase();
  return (line) => (kind === "all" || isProblem(line)) &&
    (wanted === "" || `${text(line.text) ?? ""}\n${text(line.author) ?? ""}`.toLowerCase().includes(wanted));
}

const isProblem = (line) => PROBLEMS.has(line.status) || line.audible === false;

function cells(line, openAuthor, say) {
  const words = text(line.text);
  const at = line.at || null;
  const facts = [number(line.audio_s) !== null && `${duration(line.audio_s)} long`, number(line.queue_s) >= 1 && `waited ${duration(line.queue_s)}`].filter(Boolean);
  const again = say && words !== null ? iconButton("send", "Put this text into the box", () => say.sayAgain(words)) : "";
  const cell = (name, className, ...children) =>
    make("td", { role: "cell", className, "data-label": name, "data-unknown": children[0] === UNKNOWN ? "" : null }, ...children);
  return [
    cell("Time", "line-time", make("time", { dateTime: at ? new Date(at).toISOString() : "", textContent: clockTime(at), title: text(line.accepted_ts) ? `Accepted ${clockTime(moment(line.accepted_ts))}` : "" })),
    cell("Line", "line-cell",
      words === null ? make("p", "quiet", "Private text") : make("p", "line-text", expandable(words, MAX_SHOWN)),
      why(line),
      make("p", "line-meta", authorName(line, openAuthor), ...facts.map((fact) => make("span", "meta", fact)))),
    cell("Outcome", "line-outcome", outcome(line)),
    cell("Engine", "line-engine", ...engineOf(line)),
    cell("RTF", "num", line.cached === true ? "cache" : figure(line.rtf, 2)),
    cell("First sound", "num", figure(line.ttfa_s, 2, "s")),
    cell("", "line-actions", again),
  ];
}

function engineOf(line) {
  const [name, voice] = [engineName(line.engine), text(line.voice)];
  return [clip(name, 20), voice === null ? "" : make("span", "meta", foreign(clip(voice, 20)))];
}

function outcome(line) {
  const isUnheard = line.status === "finished" && line.audible === false;
  return isUnheard ? badge("unheard", "not heard") : badge(line.status);
}

/** Returns why a line ended so, or null. */
function why(line) {
  const reason = text(line.reason)?.replaceAll("_", " ") ?? null;
  const detail = text(line.detail);
  const words = [line.status === "cancelled" ? "ended by" : reason, detail].filter(Boolean).join(reason ? ": " : " ");
  return words === "" ? null : make("p", { className: "line-why", "data-kind": isProblem(line) ? "bad" : "" }, expandable(capital(words), 160));
}
