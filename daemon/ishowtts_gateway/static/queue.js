// The lines that wait, in the order in which they are spoken.

import { badge, byId, expandable, keyed, make, setText } from "./dom.js";
import { clockTime, count, number, object, text } from "./format.js";
import { authorName, cancelButton } from "./moderation.js";
import { waitingLines } from "./store.js";

const FEW = 8;
const MANY = 200;
const MAX_SHOWN = 160; // visible characters of a line

/** Shows the queue of the board that is shown. */
export function mountQueue(store, api, openAuthor) {
  const status = byId("queue-answer");
  const more = byId("queue-more");
  let limit = FEW;
  more.addEventListener("click", () => {
    limit = limit === FEW ? MANY : FEW;
    store.changed();
  });
  const render = () => {
    const board = store.device;
    byId("queue").hidden = board === null;
    if (!board) return;
    const waiting = waitingLines(board);
    const depth = Math.max(number(object(board.state).queue_depth) ?? 0, waiting.length);
    setText(byId("queue-count"), depth === 0 ? "" : count(depth, "line"));
    byId("queue-empty").hidden = depth > 0;
    const items = waiting.slice(0, limit).map((line) => ({ line, may: store.may("command") }));
    keyed(byId("queue-list"), items, (item) => `${board.name} ${item.line.id}`, () => make("li", "queued"), (element, item) =>
      element.replaceChildren(...entry(store, api, item, status, openAuthor)));
    const hidden = depth - items.length;
    // The board also counts lines that the gateway does not know. A difference of one is a message on its way.
    more.hidden = waiting.length <= FEW && hidden < 2;
    more.disabled = waiting.length <= FEW;
    setText(more, hidden > 0 ? count(hidden, "more line") : "Show fewer");
  };
  store.subscribe(render);
}

function entry(store, api, { line }, status, openAuthor) {
  const words = text(line.text);
  const priority = text(line.priority);
  const badges = [];
  if (line.status === "interrupted") badges.push(badge("interrupted"));
  if (priority !== null && priority !== "normal") badges.push(badge(priority));
  if (text(line.voice)) badges.push(make("span", "meta", `voice ${line.voice}`));
  const since = line.at ? make("time", { className: "meta", title: "It waits since then" }, clockTime(line.at)) : null;
  return [
    make("div", "queued-body",
      words === null ? make("p", "quiet", "Private text") : make("p", "line-text", expandable(words, MAX_SHOWN)),
      make("p", "line-meta", authorName(line, openAuthor), ...badges, since)),
    cancelButton(store, api, line, status) ?? "",
  ];
}
