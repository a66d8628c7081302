// The voices of a board: try one, remove one, add one from a recording or a file.

import { answer, button, clip, icon, make, run, setText } from "./dom.js";
import { engineName, text, texts } from "./format.js";
import { MAX_RECORDING_S, recordingError, startRecording, whyNoRecording } from "./recorder.js";

const NAME = "[a-z0-9_\\-]{1,64}"; // browsers read patterns with the flag v
const LANGUAGE = "[A-Za-z0-9\\-]{1,35}";
const MAX_FILE_MB = 12; // the limit of an upload over MQTT
const MAX_WORDS = 600; // letters: 12 s of fast speech have half of that
const EXAMPLE = "The kettle is on, and the tea will be ready in a minute. Who would like a cup?";

/** Returns a labelled input, with a hint below it. */
function field(text, input, hint = null) {
  const label = make("label", "field", make("span", {}, text), input);
  if (hint === null) return label;
  input.setAttribute("aria-describedby", hint.id);
  return make("div", {}, label, hint);
}

/** Shows the voices of the selected board in `element`, and keeps them current. */
export function mountVoices(element, store, api) {
  const status = make("p", { className: "answer", role: "status" });
  const list = new VoiceList(api, status);
  const form = new VoiceForm(store, api);
  element.replaceChildren(list.element, status, form.element);
  const show = () => {
    list.show(store.device);
    form.show(store.device);
  };
  store.subscribe(show);
  show();
}

/** The list of voices, with buttons to try and to remove each. */
class VoiceList {
  constructor(api, status) {
    this.api = api;
    this.status = status;
    this.shown = "";
    this.sample = make("input", { type: "text", value: "This is how I sound.", maxLength: 300, autocomplete: "off" });
    this.sampleField = field("Text to try a voice with", this.sample);
    this.names = make("ul", { className: "voice-list", role: "list", "aria-label": "Voices" });
    this.note = make("p", "quiet");
    this.element = make("div", {}, this.sampleField, this.names, this.note);
  }

  /** Draws the list only if it has changed: a new button would lose the focus of the old one. */
  show(device) {
    const info = device?.info;
    const leader = text(device?.state?.engine);
    const names = texts(info?.voices);
    const removable = texts(info?.removable_voices);
    const may = { say: Boolean(device?.controls?.say), voices: Boolean(device?.controls?.voices) };
    const wanted = JSON.stringify([device?.name, names, removable, may, device?.voice, Boolean(info), leader]);
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.sampleField.hidden = !may.say || names.length === 0;
    this.names.replaceChildren(...names.map((name) => this.item(device, name, may, removable.includes(name))));
    setText(this.note, info ? noteOn(names, removable, may, leader) : "The board has not named its voices yet.");
  }

  item(device, name, may, isRemovable) {
    const item = make("li", {}, make("bdi", "voice-name", name));
    if (name === device.voice) item.append(make("span", "badge", "default voice"));
    if (may.say) item.append(this.button("play", "Try", name, () => this.try(device.name, name)));
    if (may.voices && isRemovable) {
      const question = `Remove the voice ${name} from ${device.name}?`;
      const remove = this.button("remove", "Remove", name, () => this.remove(device.name, name), () => confirmed(question));
      item.append(remove);
    }
    return item;
  }

  /** Returns a button that runs `action`, if `asks()` agrees. */
  button(symbol, text, name, action, asks = async () => true) {
    const control = button(symbol, text, { className: "button small", "aria-label": `${text} ${name}` });
    control.addEventListener("click", async () => {
      if (await asks()) await run(control, this.status, action);
    });
    return control;
  }

  async try(device, voice) {
    const text = this.sample.value.trim();
    if (text === "") return { text: "Write the text to try the voice with.", isRefused: true };
    const event = await this.api.say(device, { text, voice });
    if (event.event !== "rejected") return { text: `${device} says it as ${voice}.` };
    return { text: `${device} refused the line: ${event.detail}`, isRefused: true };
  }

  async remove(device, name) {
    const event = await this.api.removeVoice(device, name);
    return { text: event.detail || `The voice ${name} is removed.`, isRefused: event.ok === false };
  }
}

/** Returns what to know about voices: who speaks in them, why some have no button. */
function noteOn(names, removable, may, leader) {
  if (names.length === 0) return "This board has no cloned voices. Its natural voice or espeak-ng speaks.";
  const other = leader === null || leader === "f5" ? "" : `Only F5 speaks in these voices. Now ${clip(engineName(leader), 30)} speaks, in a voice of its own. `;
  const isFixed = may.voices && names.some((name) => !removable.includes(name));
  return other + (isFixed ? "On the board, ishowtts voices remove NAME removes those without “Remove”." : "");
}

/** Asks whether a voice is to be removed. Returns whether it was confirmed. */
function confirmed(question) {
  const cancel = make("button", { className: "button", value: "no" }, "Cancel");
  const confirm = make("button", { className: "button danger", value: "yes" }, "Remove");
  const heading = make("h2", { textContent: question, id: "voice-question" });
  const consequence = make("p", {}, "Its recording is deleted.");
  const form = make("form", { method: "dialog" }, heading, consequence, make("div", "actions", cancel, confirm));
  const dialog = make("dialog", { className: "dialog", "aria-labelledby": heading.id }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

/** The form that adds a voice. */
class VoiceForm {
  constructor(store, api) {
    this.store = store;
    this.api = api;
    this.clip = null; // a Blob: the recording or the file
    this.recording = null;
    this.build();
    this.offerRecording();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.offerRecording());
  }

  build() {
    this.record = button("mic", "Record", { onclick: () => this.toggleRecording() });
    this.level = make("meter", { min: 0, max: 1, high: 0.95, optimum: 0.5, "aria-label": "Level of the microphone" });
    this.time = make("span", "number");
    this.meter = make("span", { className: "recording", hidden: true }, this.level, this.time);
    this.noRecording = make("p", { className: "quiet", hidden: true });
    this.file = make("input", { type: "file", accept: ".wav,.flac,.ogg,.mp3", onchange: () => this.choose() });
    this.player = make("audio", { controls: true, hidden: true, "aria-label": "The recording" });
    this.words = make("textarea", { required: true, rows: 3, maxLength: MAX_WORDS });
    const example = button(null, "I read the example", { className: "button small", onclick: () => (this.words.value = EXAMPLE) });
    this.name = make("input", { required: true, pattern: NAME, autocomplete: "off", autocapitalize: "none", spellcheck: false,
      oninput: () => this.show(this.store.device) });
    const nameHint = make("small", { className: "quiet", id: "voice-name-hint" }, "1 to 64 of a-z, 0-9, _ and -");
    this.language = make("input", { pattern: LANGUAGE, placeholder: "en", autocomplete: "off" });
    this.replace = make("input", { type: "checkbox" });
    this.replaceField = make("label", { className: "tick", hidden: true }, this.replace, "Replace the voice of this name");
    this.consent = make("input", { type: "checkbox", required: true });
    this.submit = make("button", "button primary", icon("upload"), make("span", {}, "Add the voice"));
    this.progress = make("progress", { max: 1, hidden: true, "aria-label": "Upload" });
    this.status = make("p", { className: "answer", role: "status" });
    this.form = make("form", { className: "voice-form", onsubmit: (event) => this.onSubmit(event) },
      make("p", {}, "Record 2 to 12 s of one person in a quiet room. For example, read aloud:"),
      make("blockquote", {}, EXAMPLE),
      make("div", "actions", this.record, this.meter),
      this.noRecording,
      field("Or choose a file: WAV, FLAC, OGG or MP3", this.file),
      this.player,
      field("The words that are spoken, exactly", this.words),
      example,
      field("Name of the voice", this.name, nameHint),
      field("Language, if it is not that of the board", this.language),
      this.replaceField,
      make("label", "tick", this.consent, "The speaker agreed that this voice is cloned"),
      make("div", "actions", this.submit, this.progress),
      this.status,
    );
    this.details = make("details", {}, make("summary", {}, "Add a voice"), this.form);
    this.refusal = make("p", "quiet");
    this.element = make("div", "voice-add", this.details, this.refusal);
  }

  show(device) {
    const mayAdd = Boolean(device?.controls?.voices);
    this.details.hidden = !mayAdd;
    setText(this.refusal, mayAdd ? "" : whyNoVoices(device));
    const exists = texts(device?.info?.removable_voices).includes(this.name.value);
    this.replaceField.hidden = !exists;
    if (!exists) this.replace.checked = false;
  }

  async offerRecording() {
    const reason = await whyNoRecording();
    this.record.hidden = reason !== null;
    this.noRecording.hidden = reason === null;
    setText(this.noRecording, reason ?? "");
  }

  async toggleRecording() {
    if (this.recording) {
      this.recording.stop();
      return;
    }
    if (this.record.getAttribute("aria-busy") === "true") return; // the browser asks for permission
    this.record.setAttribute("aria-busy", "true");
    this.setClip(null);
    this.file.value = "";
    try {
      this.recording = await startRecording((peak, seconds) => this.showLevel(peak, seconds));
      this.record.removeAttribute("aria-busy");
      this.showLevel(0, 0);
      this.meter.hidden = false;
      this.label("Stop");
      answer(this.status, "wait", "Recording.");
      this.setClip(await this.recording.wav);
      answer(this.status, "ok", "Recorded. Listen to it, then write down its words.");
    } catch (error) {
      answer(this.status, "bad", recordingError(error));
    }
    this.recording = null;
    this.meter.hidden = true;
    this.record.removeAttribute("aria-busy");
    this.label(this.clip ? "Record again" : "Record");
  }

  label(text) {
    setText(this.record.querySelector("span"), text);
  }

  showLevel(peak, seconds) {
    this.level.value = peak;
    setText(this.time, `${seconds.toFixed(1)} of ${MAX_RECORDING_S} s`);
  }

  choose() {
    const file = this.file.files[0] ?? null;
    const isLarge = file !== null && file.size > MAX_FILE_MB * 1e6;
    if (isLarge) {
      this.file.value = "";
      answer(this.status, "bad", `The file is larger than ${MAX_FILE_MB} MB. Choose a shorter recording, or an MP3.`);
    }
    this.setClip(isLarge ? null : file);
  }

  setClip(clip) {
    if (this.player.src) URL.revokeObjectURL(this.player.src);
    this.clip = clip;
    this.player.hidden = clip === null;
    if (clip) this.player.src = URL.createObjectURL(clip);
    else this.player.removeAttribute("src");
  }

  async onSubmit(event) {
    event.preventDefault();
    const device = this.store.device;
    if (!device) return;
    if (!this.clip) {
      answer(this.status, "bad", this.recording ? "Stop the recording first." : "Record something, or choose a file.");
      return;
    }
    await run(this.submit, this.status, () => this.send(device.name, this.name.value));
    this.progress.hidden = true;
    this.show(this.store.device);
  }

  async send(device, name) {
    const form = new FormData();
    form.set("audio", this.clip, this.clip.name ?? "recording.wav");
    form.set("text", this.words.value.trim());
    form.set("consent", "true");
    if (this.replace.checked) form.set("replace", "true");
    if (this.language.value) form.set("language", this.language.value);
    this.showProgress(device, 0);
    const event = await this.api.addVoice(device, name, form, (share) => this.showProgress(device, share));
    if (event.ok === false) return { text: event.detail, isRefused: true };
    this.form.reset();
    this.setClip(null);
    this.label("Record");
    return { text: event.detail || `${device} has the voice ${name} now.` };
  }

  /** `share` is that of the upload to the gateway. What the board does takes longer, and nobody knows how long. */
  showProgress(device, share) {
    this.progress.hidden = false;
    if (share < 1) {
      this.progress.value = share;
      answer(this.status, "wait", "Uploading.");
    } else {
      this.progress.removeAttribute("value");
      answer(this.status, "wait", `${device} receives and checks the recording. This can take a minute.`);
    }
  }
}

/** Returns why voices cannot be added to a board from this page. */
function whyNoVoices(device) {
  if (!device?.info) return "";
  if (device.info.voices_over_mqtt !== true) {
    return "To add voices here, set engine.f5.voices_over_mqtt: true in the board's configuration and restart it.";
  }
  return "The broker does not let the gateway's user add voices. Give it the lines of user gateway in ishowtts.acl.";
}
