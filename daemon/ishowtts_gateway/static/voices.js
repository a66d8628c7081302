// The voices of a board: try one, remove one, add one from a recording or a file.

import { MAX_RECORDING_S, recordingError, startRecording, whyNoRecording } from "./recorder.js";

const NAME = "[a-z0-9_\\-]{1,64}"; // browsers read patterns with the flag v
const MAX_FILE_MB = 12; // the limit of an upload over MQTT
const MAX_WORDS = 600; // letters in 12 s of fast speech, twice over
const EXAMPLE =
  "The kettle is on, and the tea will be ready in a minute. Who would like a cup, and who takes milk or sugar with it?";

/** Returns an element. Properties are set as they are; text comes only as text. */
function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** Returns a labelled input, select or textarea. */
function field(text, input, hint) {
  const label = make("label", { className: "field" }, make("span", { textContent: text }), input);
  if (hint) {
    input.setAttribute("aria-describedby", hint.id);
    return make("div", {}, label, hint);
  }
  return label;
}

/**
 * Shows the voices of the selected board in `element`, and keeps them current.
 *
 * `store`: `device` (the snapshot of the selected board, or null) and `subscribe(listener)`.
 * `api`: `say(device, line)`, `addVoice(device, name, form, onProgress)`, `removeVoice(device, name)`; promises of the
 * answer, rejected with an Error whose message is a sentence.
 */
export function mountVoices(element, store, api) {
  const status = make("p", { className: "voices-status" });
  status.setAttribute("role", "status");
  const list = new VoiceList(store, api, status);
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
  constructor(store, api, status) {
    this.store = store;
    this.api = api;
    this.status = status;
    this.shown = "";
    this.sample = make("input", { type: "text", value: "This is how I sound.", maxLength: 300, autocomplete: "off" });
    this.sampleField = field("Text to try a voice with", this.sample);
    this.names = make("ul", { className: "voice-list" });
    this.names.setAttribute("aria-label", "Voices");
    this.note = make("p", { className: "hint" });
    this.element = make("div", {}, this.sampleField, this.names, this.note);
  }

  /** Draws the list only if it has changed: a new button would lose the focus of the old one. */
  show(device) {
    const info = device?.info;
    const names = Array.isArray(info?.voices) ? info.voices : [];
    const removable = Array.isArray(info?.removable_voices) ? info.removable_voices : [];
    const may = { say: Boolean(device?.controls?.say), voices: Boolean(device?.controls?.voices) };
    const wanted = JSON.stringify([device?.name, names, removable, may, device?.voice, info !== null]);
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.sampleField.hidden = !may.say || names.length === 0;
    this.names.replaceChildren(...names.map((name) => this.item(device, name, may, removable.includes(name))));
    this.note.textContent = !info ? "The board has not named its voices yet." : noteOn(names, removable, may);
  }

  item(device, name, may, isRemovable) {
    const item = make("li", {}, make("span", { className: "voice-name", textContent: name }));
    if (name === device.voice) item.append(make("span", { className: "badge", textContent: "default" }));
    if (may.say) item.append(this.button("Try", name, () => this.try(device.name, name)));
    if (may.voices && isRemovable) item.append(this.button("Remove", name, () => this.remove(device.name, name)));
    return item;
  }

  button(text, name, onClick) {
    const button = make("button", { type: "button", textContent: text });
    button.setAttribute("aria-label", `${text} ${name}`);
    button.addEventListener("click", () => this.run(button, onClick));
    return button;
  }

  async run(button, action) {
    button.disabled = true;
    try {
      this.status.textContent = await action();
    } catch (error) {
      this.status.textContent = error.message;
    }
    button.disabled = false;
  }

  async try(device, voice) {
    const text = this.sample.value.trim();
    if (text === "") return "Write the text to try the voice with.";
    const event = await this.api.say(device, { text, voice });
    return event.event === "rejected" ? `${device} refused it: ${event.detail}` : `${device} says it as ${voice}.`;
  }

  async remove(device, name) {
    if (!(await confirmed(`Remove the voice ${name} from ${device}?`, "Its recording is deleted.", "Remove"))) return "";
    const answer = await this.api.removeVoice(device, name);
    return answer.detail || `The voice ${name} is removed.`;
  }
}

/** Returns what to know about a list of voices: why it is empty, or why some have no button. */
function noteOn(names, removable, may) {
  if (names.length === 0) return "This board has no cloned voices. Its natural voice or espeak-ng speaks.";
  if (may.voices && names.some((name) => !removable.includes(name))) {
    return "Voices without “Remove” belong to the board's administrator: ishowtts voices remove NAME.";
  }
  return "";
}

/** Asks in a dialog. Returns whether it was confirmed. */
function confirmed(question, consequence, action) {
  const cancel = make("button", { type: "submit", value: "no", textContent: "Cancel" });
  const confirm = make("button", { type: "submit", value: "yes", textContent: action, className: "danger" });
  const heading = make("h2", { textContent: question, id: "voice-question" });
  const actions = make("div", { className: "actions" }, cancel, confirm);
  const dialog = make("dialog", {}, make("form", { method: "dialog" }, heading, make("p", { textContent: consequence }), actions));
  dialog.setAttribute("aria-labelledby", heading.id);
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
    this.isBusy = false;
    this.build();
    this.setBusy(false);
    this.offerRecording();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.offerRecording());
  }

  build() {
    this.record = make("button", { type: "button", textContent: "Record" });
    this.record.addEventListener("click", () => this.toggleRecording());
    this.level = make("meter", { min: 0, max: 1, low: 0.05, high: 0.95, optimum: 0.5, value: 0 });
    this.level.setAttribute("aria-label", "Level of the microphone");
    this.time = make("span", { className: "number", textContent: `0.0 of ${MAX_RECORDING_S} s` });
    this.meter = make("span", { className: "recording", hidden: true }, this.level, this.time);
    this.noRecording = make("p", { className: "hint", hidden: true });
    this.file = make("input", { type: "file", accept: ".wav,.flac,.ogg,.mp3,audio/wav,audio/flac,audio/ogg,audio/mpeg" });
    this.file.addEventListener("change", () => this.choose());
    this.player = make("audio", { controls: true, hidden: true });
    this.player.setAttribute("aria-label", "The recording");
    this.words = make("textarea", { name: "text", required: true, rows: 3, maxLength: MAX_WORDS });
    const example = make("button", { type: "button", textContent: "I read the example" });
    example.addEventListener("click", () => {
      this.words.value = EXAMPLE;
    });
    this.name = make("input", { type: "text", required: true, pattern: NAME, autocomplete: "off", spellcheck: false });
    this.name.autocapitalize = "none";
    this.name.addEventListener("input", () => this.show(this.store.device));
    this.language = make("input", { type: "text", pattern: "[A-Za-z0-9\\-]{1,35}", placeholder: "en", size: 6 });
    this.replace = make("input", { type: "checkbox" });
    this.replaceField = make("label", { className: "tick", hidden: true }, this.replace, "Replace the voice of this name");
    this.consent = make("input", { type: "checkbox", required: true });
    this.submit = make("button", { type: "submit", textContent: "Add the voice", className: "primary" });
    this.progress = make("progress", { max: 1, hidden: true });
    this.progress.setAttribute("aria-label", "Upload");
    this.status = make("p", { className: "voices-status" });
    this.status.setAttribute("role", "status");
    const readable = "Two to twelve seconds of one person in a quiet room. For example, read aloud:";
    this.form = make(
      "form",
      { className: "voice-form" },
      make("p", { textContent: readable }),
      make("blockquote", { textContent: EXAMPLE }),
      make("div", { className: "actions" }, this.record, this.meter),
      this.noRecording,
      field("Or a file: WAV, FLAC, OGG or MP3", this.file),
      this.player,
      field("The words that are spoken, exactly", this.words),
      example,
      field("Name of the voice", this.name, make("small", { id: "voice-name-hint", textContent: "a-z, 0-9, _ and -" })),
      field("Language (if it is not the board's)", this.language),
      this.replaceField,
      make("label", { className: "tick" }, this.consent, "The speaker agreed that this voice is cloned"),
      make("div", { className: "actions" }, this.submit, this.progress),
      this.status,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.summary = make("summary", { textContent: "Add a voice" });
    this.details = make("details", {}, this.summary, this.form);
    this.refusal = make("p", { className: "hint" });
    this.element = make("div", { className: "voice-add" }, this.details, this.refusal);
  }

  show(device) {
    const mayAdd = Boolean(device?.controls?.voices);
    this.details.hidden = !mayAdd;
    this.refusal.textContent = mayAdd ? "" : whyNoVoices(device);
    const exists = Boolean(device?.info?.removable_voices?.includes(this.name.value));
    this.replaceField.hidden = !exists;
    if (!exists) this.replace.checked = false;
  }

  async offerRecording() {
    const reason = await whyNoRecording();
    this.record.hidden = reason !== null;
    this.noRecording.textContent = reason ?? "";
    this.noRecording.hidden = reason === null;
  }

  async toggleRecording() {
    if (this.recording) {
      this.recording.stop();
      return;
    }
    this.setClip(null);
    this.file.value = "";
    this.record.disabled = true;
    try {
      this.recording = await startRecording((peak, seconds) => {
        this.level.value = peak;
        this.time.textContent = `${seconds.toFixed(1)} of ${MAX_RECORDING_S} s`;
      });
      this.record.textContent = "Stop";
      this.record.disabled = false;
      this.meter.hidden = false;
      this.status.textContent = "Recording.";
      this.setClip(await this.recording.wav);
      this.status.textContent = "Recorded. Listen to it, then write down its words.";
    } catch (error) {
      this.status.textContent = recordingError(error);
    }
    this.recording = null;
    this.meter.hidden = true;
    this.record.disabled = false;
    this.record.textContent = this.clip ? "Record again" : "Record";
  }

  choose() {
    const file = this.file.files[0];
    const isLarge = file !== undefined && file.size > MAX_FILE_MB * 1e6;
    this.status.textContent = isLarge ? `The file has more than ${MAX_FILE_MB} MB. Choose a shorter one, or an MP3.` : "";
    if (isLarge) this.file.value = "";
    this.setClip(isLarge ? null : (file ?? null));
  }

  setClip(clip) {
    if (this.player.src) URL.revokeObjectURL(this.player.src);
    this.clip = clip;
    this.player.hidden = clip === null;
    if (clip) this.player.src = URL.createObjectURL(clip);
    else this.player.removeAttribute("src");
  }

  setBusy(isBusy) {
    this.isBusy = isBusy;
    this.submit.disabled = isBusy;
    this.record.disabled = isBusy;
    this.progress.hidden = !isBusy;
    this.progress.value = 0;
  }

  async send() {
    const device = this.store.device;
    if (this.isBusy || !device) return;
    if (!this.clip) {
      this.status.textContent = this.recording ? "Stop the recording first." : "Record something, or choose a file.";
      return;
    }
    const name = this.name.value;
    const form = new FormData();
    form.set("audio", this.clip, this.clip.name ?? "recording.wav");
    form.set("text", this.words.value.trim());
    form.set("consent", "true");
    if (this.replace.checked) form.set("replace", "true");
    if (this.language.value) form.set("language", this.language.value);
    this.setBusy(true);
    this.status.textContent = "Uploading.";
    try {
      const answer = await this.api.addVoice(device.name, name, form, (share) => this.showProgress(device.name, share));
      this.form.reset();
      this.setClip(null);
      this.record.textContent = "Record";
      this.status.textContent = answer.detail || `${device.name} has the voice ${name} now.`;
    } catch (error) {
      this.status.textContent = error.message;
    }
    this.setBusy(false);
    this.show(this.store.device);
  }

  /** `share` is that of the upload to the gateway. What the board does takes longer, and nobody knows how long. */
  showProgress(device, share) {
    if (share < 1) {
      this.progress.value = share;
      return;
    }
    this.progress.removeAttribute("value");
    this.status.textContent = `${device} receives and checks the recording. This can take a minute.`;
  }
}

/** Returns why voices cannot be added to a board from this page. */
function whyNoVoices(device) {
  if (!device?.info) return "";
  if (device.info.voices_over_mqtt !== true) {
    return "To add voices here, set engine.f5.voices_over_mqtt: true in the board's configuration and restart it.";
  }
  return "This page may not add voices: the gateway's user at the broker needs the role controller.";
}
