// Pause, skip, stop, replay, mute, volume and default voice of the board that is shown.

import { answer, button, byId, icon, make, run, setText } from "./dom.js";
import { number, object, text, texts } from "./format.js";

const REASONS = { gateway: "No connection to the gateway. Wait until the page is live again.", broker: "The gateway has no broker now.", board: "The board is offline." };

/** Returns what a board has done, in its own words if it has some. A refusal is an error of the API. */
const told = (event, done) => ({ text: text(object(event).detail) ?? done, value: event });

/** Whether a board answers with the id of a line, which is not shown here. */
const isAboutId = ({ command, id }) => id !== undefined || command === "skip" || command === "replay";

/** Says why nothing can be sent now, in `status`. Returns whether it can. */
export function canSend(store, status) {
  const outdated = store.device ? store.outdated(store.device) : { reason: "board" };
  if (outdated === null) return true;
  answer(status, "bad", REASONS[outdated.reason]);
  return false;
}

/** Sends a command for a button. `status` shows what was `done`, or why not. */
export function send(store, api, control, status, command, done) {
  return canSend(store, status) && run(control, status, async () => {
    const event = await api.command(store.selected, command);
    return isAboutId(command) ? { text: done, value: event } : told(event, done);
  });
}

/** Shows the controls if the gateway may send commands. Returns the actions by name, for the keyboard. */
export function mountControls(store, api) {
  const status = byId("controls-answer");
  const act = (control, command, done) => send(store, api, control, status, { command }, done);
  const isPaused = () => object(store.device?.state).paused === true;
  const isMuted = () => store.device?.muted === true || object(store.device?.state).muted === true;

  const actions = {
    pause: () => (isPaused() ? act(pause, "resume", "Resumed") : act(pause, "pause", "Paused")),
    skip: () => act(skip, "skip", "Skipped"),
    stop: () => act(stop, "stop", "Stopped"),
    replay: () => act(replay, "replay", "Spoken again"),
    mute: () => (isMuted() ? act(mute, "unmute", "Unmuted") : act(mute, "mute", "Muted")),
    volume: (change) => volume.step(change),
  };
  const pause = button("pause", "Pause", { id: "pause", onclick: actions.pause });
  const skip = button("skip", "Skip", { id: "skip", onclick: actions.skip });
  const stop = button("stop", "Stop", { id: "stop", className: "button danger", onclick: actions.stop, title: "End this line and all lines that wait" });
  const replay = button("replay", "Replay", { id: "replay", onclick: actions.replay });
  const mute = button("mute", "Mute", { id: "mute", onclick: actions.mute });
  const volume = new VolumeSlider(store, api, status);
  const voice = voiceChoice(store, api, status);
  byId("controls").append(
    make("div", "control-buttons", pause, skip, stop, replay, mute),
    make("div", "control-fields", volume.element, voice.element),
  );

  store.subscribe(() => {
    const board = store.device;
    byId("controls").hidden = !store.may("command");
    show(pause, isPaused() ? ["play", "Resume"] : ["pause", "Pause"]);
    show(mute, isMuted() ? ["sound", "Unmute"] : ["mute", "Mute"]);
    if (board) {
      volume.show(board);
      voice.show(board);
    }
  });
  return actions;
}

function show(control, [name, words]) {
  const label = control.lastElementChild;
  if (label.textContent === words) return;
  setText(label, words);
  control.firstElementChild.replaceWith(icon(name));
}

/** The volume. It shows what the board told, except while somebody moves it. */
class VolumeSlider {
  constructor(store, api, status) {
    this.store = store;
    this.api = api;
    this.status = status;
    this.isMoved = false;
    this.input = make("input", { type: "range", id: "volume", min: 0, max: 100, step: 1,
      oninput: () => this.move(), onchange: () => this.send() });
    this.output = make("output", { className: "volume-value", for: "volume" });
    this.element = make("label", "field inline", make("span", {}, "Volume"), this.input, this.output);
  }

  show(board) {
    if (this.isMoved) return;
    const told = number(board.volume) ?? number(object(board.state).volume);
    this.input.disabled = told === null;
    this.set(told ?? 0, told === null ? "–" : `${told} %`);
  }

  set(value, words) {
    if (this.input.value !== String(value)) this.input.value = value;
    setText(this.output, words);
    this.input.setAttribute("aria-valuetext", words);
  }

  move() {
    this.isMoved = true;
    this.set(this.input.value, `${this.input.value} %`);
  }

  step(change) {
    if (this.input.disabled) return;
    this.input.value = Number(this.input.value) + change;
    this.move();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), 400);
  }

  async send() {
    const volume = Number(this.input.value);
    if (canSend(this.store, this.status)) {
      await run(this.input, this.status, async () => told(await this.api.setVolume(this.store.selected, volume), `Volume ${volume} %`));
    }
    if (Number(this.input.value) !== volume) return this.send();
    await new Promise((resolve) => setTimeout(resolve, 500)); // the board tells its volume after its answer
    this.isMoved = false;
    return this.store.changed();
  }
}

/** Returns the choice of the voice of lines that name none, and a function that shows a board's. */
function voiceChoice(store, api, status) {
  let shown = "";
  const choose = async () => {
    const name = select.value || null;
    if (canSend(store, status)) {
      await run(select, status, async () => told(await api.setVoice(store.selected, name), `Default voice: ${name ?? "as configured"}`));
    }
    shown = "";
    store.changed();
  };
  const select = make("select", { id: "default-voice", className: "input", onchange: choose });
  const element = make("label", "field inline", make("span", {}, "Default voice"), select);
  const show = (board) => {
    const current = text(board.voice);
    const names = [...new Set([...(current === null ? [] : [current]), ...texts(object(board.info).voices)])];
    const wanted = JSON.stringify([board.name, names]);
    if (wanted === shown || select.getAttribute("aria-busy")) return;
    shown = wanted;
    element.hidden = names.length === 0;
    select.replaceChildren(...names.map((name) => make("option", { value: name }, name)), make("option", { value: "" }, "As configured"));
    select.value = current ?? "";
  };
  return { element, show };
}
