// Whether the page is live, else why not and since when.

import { byId, foreign, icon, make, setData, setText } from "./dom.js";
import { clockTime, sentence, text } from "./format.js";
import { activeAlerts } from "./store.js";

const LINK_TEXTS = { connecting: "Connecting", live: "Live", gateway: "Connection lost", broker: "No broker", board: "Board offline" };

/** Shows whether the page is live, and marks what is outdated. */
export function mountNotice(store) {
  const notice = byId("notice");
  let shown = "";
  const render = () => {
    const { state } = store.link;
    const board = store.device;
    const outdated = store.outdated(board);
    setData(byId("link-state"), "state", outdated ? "lost" : state);
    setText(byId("link-text"), LINK_TEXTS[outdated?.reason ?? state]);
    setData(document.body, "outdated", outdated?.reason);
    document.title = titleOf(store, board, outdated);
    const { version, started } = store.gateway;
    setText(byId("about"), version === null ? "" : `iShowTTS ${version}. The gateway runs since ${clockTime(started)}.`);
    const wanted = JSON.stringify([outdated, board?.name, store.link.detail, store.broker.detail]);
    if (wanted === shown) return;
    shown = wanted;
    notice.hidden = outdated === null;
    notice.replaceChildren(...(outdated ? content(store, board, outdated) : []));
    announce(outdated, notice);
  };
  store.subscribe(render);
  render();
}

function content(store, board, { reason, since }) {
  const time = since === null ? "" : ` since ${clockTime(since)}`;
  const parts = {
    gateway: [`No connection to the gateway${time}.`, store.link.detail, "The page connects again by itself."],
    broker: [`The gateway has no connection to the broker${time}.`, store.broker.detail, "The gateway connects again by itself."],
    board: [`${board?.name} is offline${time}.`, null, ""],
  }[reason];
  const why = text(parts[1]);
  const words = make("p", {}, make("strong", {}, parts[0]), " ", why === null ? "" : foreign(sentence(why)), ` These are the last known values. ${parts[2]}`);
  return [icon("alert"), words];
}

/** Tells screen readers once that the values became outdated, and once that they are current again. */
function announce(outdated, notice) {
  const region = byId("announce-alert");
  if (outdated) region.textContent = notice.querySelector("strong").textContent;
  else if (region.textContent !== "") region.textContent = "The page is live again.";
}

function titleOf(store, board, outdated) {
  if (!board) return "iShowTTS";
  const alerts = [...store.boards.values()].reduce((sum, one) => sum + activeAlerts(one).length, 0);
  const state = outdated ? "outdated" : (text(board.state?.state) ?? "unknown");
  return `${alerts ? `(${alerts}) ` : ""}${board.name}: ${state} – iShowTTS`;
}
