// The box to say a line: text, voice, priority.

import { canSend } from "./controls.js";
import { button, byId, make, run, setData, setText } from "./dom.js";
import { count, number, object, text, texts } from "./format.js";

const PRIORITIES = [["low", "Low", "Spoken only if nothing else waits"], ["normal", "Normal", ""], ["high", "High", "Before all normal lines"],
  ["urgent", "Urgent", "Interrupts the line that is spoken now"]];
const DRAFT = "draft";

/** Shows the box if the gateway may publish lines. Returns `focus()` and `sayAgain(line)`. */
export function mountSay(store, api) {
  const form = byId("say-form");
  const status = byId("say-answer");
  const words = make("textarea", { id: "say-text", className: "input", rows: 3, placeholder: "What should be said?", required: true, dir: "auto",
    "aria-describedby": "say-count", oninput: () => changed() });
  const counter = make("span", { id: "say-count", className: "say-count" });
  const voice = make("select", { id: "say-voice", className: "input" });
  const voiceField = make("label", { className: "field" }, make("span", { textContent: "Voice" }), voice);
  const send = button("send", "Say it", { id: "say-send", type: "submit", className: "button primary", title: "Say it (Ctrl+Enter)" });
  form.append(
    make("label", { className: "visually-hidden", for: "say-text", textContent: "Text of the line" }),
    words,
    counter,
    priorityField(),
    make("div", { className: "say-row" }, voiceField, send),
  );
  let id = newId();
  let names = "";

  const changed = () => {
    id = newId();
    keepDraft(words.value);
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
    const event = await run(send, status, async () => outcome(await api.say(store.selected, line), line));
    // The same id again is not spoken twice: it stays until the board has taken the line, whatever the answer was.
    if (event && words.value.trim() === line.text) {
      words.value = "";
      form.elements.priority.value = "normal";
      changed();
    }
    return undefined;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  words.value = keptDraft();
  store.subscribe(() => {
    const board = store.device;
    byId("say").hidden = object(board?.controls).say !== true;
    const voices = texts(object(board?.info).voices);
    const wanted = JSON.stringify([voices, board?.voice]);
    if (wanted !== names) {
      names = wanted;
      const chosen = voice.value;
      const first = text(board?.voice) === null ? "Default voice" : `Default (${board.voice})`;
      voice.replaceChildren(make("option", { value: "", textContent: first }), ...voices.map((name) => make("option", { value: name, textContent: name })));
      voice.value = voices.includes(chosen) ? chosen : "";
      voiceField.hidden = voices.length === 0;
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

function priorityField() {
  const choices = PRIORITIES.map(([value, label, title]) => make("label", { className: "choice", title, "data-value": value },
    make("input", { type: "radio", name: "priority", value, checked: value === "normal" }), make("span", { textContent: label })));
  return make("fieldset", { className: "field" }, make("legend", { textContent: "Priority" }), make("div", { className: "choices" }, ...choices));
}

function outcome(event, line) {
  const detail = text(object(event).detail);
  switch (object(event).event) {
    case "accepted": {
      const ahead = number(event.queue_depth);
      if (line.urgent) return { text: "Accepted. It goes before all others.", value: event };
      return { text: ahead > 1 ? `Accepted. ${count(ahead, "line")} wait now.` : "Accepted.", value: event };
    }
    case "merged":
      return { text: "The same text waits already. It is spoken once.", value: event };
    case "duplicate":
      return { text: "The board has this line already. It is not spoken twice.", value: event };
    default:
      return { text: detail ? `Rejected: ${detail}` : "The board rejected the line.", isRefused: true };
  }
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

function keepDraft(words) {
  try {
    sessionStorage.setItem(DRAFT, words);
  } catch {
    // Storage may be forbidden or full: a reload then loses the draft.
  }
}

function keptDraft() {
  try {
    return sessionStorage.getItem(DRAFT) ?? "";
  } catch {
    return "";
  }
}
