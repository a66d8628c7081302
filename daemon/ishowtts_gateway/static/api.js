// Requests to the gateway. Each returns its answer, or fails with an Error whose message is a sentence.

import { errorOf } from "./stream.js";

const AWAY = "The gateway does not answer. Try again.";
const statusError = (status) => `The gateway answered with status ${status}.`;
const DEADLINE_MS = 60_000; // the gateway answers or gives up before
const VOICE_DEADLINE_MS = 180_000; // a board that checks recordings answers after that

/** Returns the `/api/` path of a board. */
const path = (device, ...rest) => ["api/devices", device, ...rest].map((part, place) => (place ? encodeURIComponent(part) : part)).join("/");

/** The API. `onForbidden()` is called if the session has ended. */
export class Api {
  constructor(onForbidden) {
    this.onForbidden = onForbidden;
  }

  /** Shows `control`, which ends the session, if the gateway has a token. */
  async offerSignOut(control) {
    const session = await this.request("GET", "api/session").catch(() => null);
    control.hidden = session?.needs_token !== true;
    control.addEventListener("click", () => this.request("DELETE", "api/session").then(this.onForbidden));
  }

  /** Sends a line. Returns its first event: accepted, rejected, duplicate or merged. */
  say(device, line) {
    return this.post(path(device, "say"), line);
  }

  /** Sends a command. Returns its `command` event. */
  command(device, command) {
    return this.post(path(device, "command"), command);
  }

  setVolume(device, volume) {
    return this.post(path(device, "volume"), { volume });
  }

  setVoice(device, voice) {
    return this.post(path(device, "voice"), { voice });
  }

  /** Returns the last hour. */
  series(device) {
    return this.request("GET", path(device, "series"));
  }

  /** Returns older lines: `{lines, next, private}`. */
  history(device, before, limit) {
    const query = new URLSearchParams({ limit });
    if (before !== null) query.set("before", before);
    return this.request("GET", `${path(device, "lines")}?${query}`);
  }

  removeVoice(device, name) {
    return this.request("DELETE", path(device, "voices", name), null, VOICE_DEADLINE_MS);
  }

  /** Uploads a voice. `onProgress(share)` tells how much has been sent, which fetch cannot. */
  addVoice(device, name, form, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("PUT", path(device, "voices", name));
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) onProgress(event.loaded / event.total);
      });
      request.addEventListener("load", () => {
        if (request.status === 401) this.onForbidden();
        if (request.status >= 200 && request.status < 300) resolve(request.response ?? {});
        else reject(new Error(request.response?.error ?? statusError(request.status)));
      });
      request.addEventListener("error", () => reject(new Error(AWAY)));
      request.send(form);
    });
  }

  post(url, body) {
    return this.request("POST", url, body);
  }

  async request(method, url, body = null, deadline_ms = DEADLINE_MS) {
    const options = { method, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(deadline_ms) };
    if (body !== null) {
      options.headers = { "Content-Type": "application/json" };
      options.body = JSON.stringify(body);
    }
    let response;
    try {
      response = await fetch(url, options);
    } catch (error) {
      const isLate = error.name === "TimeoutError";
      throw new Error(isLate ? `The gateway has not answered within ${deadline_ms / 1000} s.` : AWAY);
    }
    if (response.status === 401) this.onForbidden();
    if (!response.ok) throw new Error((await errorOf(response)) ?? statusError(response.status));
    return response.json();
  }
}
