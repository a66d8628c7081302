// Pause, skip, stop, replay, mute, volume and default voice of the board that is shown.

import { answer, button, byId, icon, make, run, setText } from "./dom.js";
import { number, object, text, texts } from "./format.js";

const REASONS = { gateway: "The gateway is away. Wait until the page is live again.", broker: "The gateway has no broker now.", board: "The board is offline." };

/** What a button's action returns: the answer of the board in words. */
export function told(event, done) {
  const detail = text(object(event).detail);
  if (event?.ok === false) return { text: detail ? `Refused: ${detail}` : "The board refused it.", isRefused: true };
  return { text: detail ? `${done}: ${detail}` : `${done}.`, value: event };
}

/** Says why nothing can be sent now, in `status`. Returns whether it can. */
export function canSend(store, status) {
  const outdated = store.device ? store.outdated(store.device) : { reason: "board" };
  if (outdated === null) return true;
  answer(status, "bad", REASONS[outdated.reason]);
  return false;
}

/** Shows the controls if the gateway may send commands. Returns the actions by name, for the keyboard. */
export function mountControls(store, api) {
  const status = byId("controls-answer");
  const act = (control, command, done) => canSend(store, status) &&
    run(control, status, async () => told(await api.command(store.selected, { command }), done));
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
  const pause = button("pause", "Pause", { id: "pause", className: "button main", onclick: actions.pause, title: "Pause or resume speech (p)" });
  const skip = button("skip", "Skip", { id: "skip", onclick: actions.skip, title: "End this line (s)" });
  const stop = button("stop", "Stop", { id: "stop", className: "button danger", onclick: actions.stop, title: "End this line and all lines that wait (Shift+X)" });
  const replay = button("replay", "Replay", { id: "replay", onclick: actions.replay, title: "Speak the last line again (r)" });
  const mute = button("mute", "Mute", { id: "mute", onclick: actions.mute, title: "Play lines without sound, or with it again (m)" });
  const volume = new VolumeSlider(store, api, status);
  const voice = new VoiceSelect(store, api, status);
  byId("controls").append(
    make("div", { className: "control-buttons" }, pause, skip, stop, replay, mute),
    make("div", { className: "control-fields" }, volume.element, voice.element),
  );

  store.subscribe(() => {
    const board = store.device;
    byId("controls").hidden = object(board?.controls).command !== true;
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
    this.element = make("label", { className: "field inline" }, make("span", { textContent: "Volume" }), this.input, this.output);
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
    this.isMoved = false;
    this.store.changed();
    return undefined;
  }
}

/** The voice of lines that name none. */
class VoiceSelect {
  constructor(store, api, status) {
    this.store = store;
    this.names = "";
    this.isChosen = false;
    this.select = make("select", { id: "default-voice", className: "input", onchange: async () => {
      const name = this.select.value || null;
      this.isChosen = true;
      if (canSend(store, status)) {
        await run(this.select, status, async () => told(await api.setVoice(store.selected, name), name ? `Default voice ${name}` : "The configured voice"));
      }
      this.isChosen = false;
      store.changed();
    } });
    this.element = make("label", { className: "field inline" }, make("span", { textContent: "Default voice" }), this.select);
  }

  show(board) {
    const voices = texts(object(board.info).voices);
    const current = text(board.voice);
    const names = current !== null && !voices.includes(current) ? [current, ...voices] : voices;
    this.element.hidden = names.length === 0;
    const wanted = JSON.stringify(names);
    if (wanted !== this.names) {
      this.names = wanted;
      this.select.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })),
        make("option", { value: "", textContent: "As configured" }));
    }
    if (!this.isChosen && this.select.value !== (current ?? "")) this.select.value = current ?? "";
  }
}
