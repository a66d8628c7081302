// The box to say a line: text, voice, priority.

import { canSend } from "./controls.js";
import { byId, make, run, setData, setText } from "./dom.js";
import { count, number, object, text, texts } from "./format.js";

/** Shows the box if lines may be said. Returns `focus()` and `sayAgain(line)`. */
export function mountSay(store, api) {
  const form = byId("say-form");
  const status = byId("say-answer");
  const words = byId("say-text");
  const counter = byId("say-count");
  const voice = byId("say-voice");
  const send = byId("say-send");
  let id = newId();
  let names = "";

  const changed = () => {
    id = newId();
    showCount(store, words, counter);
  };
  const submit = async () => {
    const line = { id, text: words.value.trim() };
    if (line.text === "") return words.focus();
    if (!canSend(store, status)) return undefined;
    const priority = form.elements.priority.value;
    if (voice.value) line.voice = voice.value;
    if (priority === "urgent") line.urgent = true;
    else if (priority !== "normal") line.priority = priority;
    const event = await run(send, status, async () => outcome(await api.say(store.selected, line), object(store.device?.state)));
    // The same id is not spoken twice: it stays until the board has taken the line.
    if (event && words.value.trim() === line.text) {
      words.value = "";
      form.elements.priority.value = "normal";
      changed();
    }
    return undefined;
  };
  words.addEventListener("input", changed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  words.addEventListener("keydown", (event) => {
    if (event.key === "Escape") words.blur();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  store.subscribe(() => {
    const board = store.device;
    byId("say").hidden = !store.may("say");
    const voices = texts(object(board?.info).voices);
    const wanted = JSON.stringify([voices, board?.voice]);
    if (wanted !== names) {
      names = wanted;
      const chosen = voice.value;
      const first = text(board?.voice) === null ? "Default voice" : `Default voice (${board.voice})`;
      voice.replaceChildren(make("option", { value: "" }, first), ...voices.map((name) => make("option", { value: name }, name)));
      voice.value = voices.includes(chosen) ? chosen : "";
      voice.parentElement.hidden = voices.length === 0;
    }
    showCount(store, words, counter);
  });
  return {
    focus: () => byId("say").hidden || words.focus(),
    sayAgain: (line) => {
      words.value = line;
      changed();
      words.focus();
    },
  };
}

const TAKEN = {
  accepted: "Accepted.",
  merged: "The same text waits already. It is spoken once.",
  duplicate: "The board has this line already. It is not spoken twice.",
};

/** Returns what the first event of a line says, and why it is not heard soon. */
function outcome(event, state) {
  const { event: name, detail, queue_depth: depth } = object(event);
  if (!Object.hasOwn(TAKEN, name)) return { text: text(detail) ? `Rejected: ${detail}` : "The board rejected the line.", isRefused: true };
  const notes = [number(depth) > 1 && `${count(depth, "line")} wait.`, state.paused === true && "Speech is paused.", state.audible === false && "The board cannot be heard now."];
  return { text: [TAKEN[name], ...notes.filter(Boolean)].join(" "), value: event };
}

function showCount(store, words, counter) {
  const limit = number(object(object(store.device?.info).limits).max_chars);
  const length = Array.from(words.value).length;
  setText(counter, length === 0 ? "" : limit === null ? count(length, "character") : `${length} of ${limit} characters`);
  setData(counter, "over", limit !== null && length > limit);
}

/** Returns a random id. `randomUUID` exists only with HTTPS and on localhost. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
