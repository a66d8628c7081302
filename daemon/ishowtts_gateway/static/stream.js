// The stream of events from the gateway. It connects again by itself.

const SILENCE_MS = 40_000; // the gateway sends a comment every 15 s
const HIDDEN_MS = 60_000; // a hidden page gives its connection back: browsers allow six to one host
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

/** Reads `url` for as long as the page lives. `onEvent(kind, data)`, `onState(state, detail)`, `onForbidden()`. */
export class Stream {
  constructor(url, { onEvent, onState, onForbidden }) {
    this.url = url;
    this.onEvent = onEvent;
    this.onState = onState;
    this.onForbidden = onForbidden;
    this.failures = 0;
    this.abort = null;
    this.wake = null;
    this.hiddenTimer = null;
  }

  /** Reads until the page is closed. */
  async start() {
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => this.onVisibility());
    for (;;) {
      if (this.isParked) await this.sleep(null);
      const reason = await this.read();
      if (this.isParked) continue;
      this.onState("lost", reason);
      const pause = PAUSES_MS[Math.min(this.failures, PAUSES_MS.length - 1)];
      this.failures += 1;
      await this.sleep(pause * (0.75 + Math.random() / 2));
    }
  }

  onVisibility() {
    clearTimeout(this.hiddenTimer);
    if (document.hidden) {
      this.hiddenTimer = setTimeout(() => {
        this.isParked = true;
        this.abort?.abort();
      }, HIDDEN_MS);
      return;
    }
    this.isParked = false;
    this.retryNow();
  }

  /** Ends a pause between two tries. */
  retryNow() {
    this.wake?.();
  }

  sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === null ? null : setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Reads one connection to its end. Returns why it ended, in words. */
  async read() {
    this.abort = new AbortController();
    let watchdog = null;
    let reason = "The connection to the gateway has ended.";
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        reason = "The gateway has been silent for 40 s.";
        this.abort.abort();
      }, SILENCE_MS);
    };
    alive();
    try {
      const response = await fetch(this.url, { signal: this.abort.signal, cache: "no-store", credentials: "same-origin" });
      if (response.status === 401) {
        this.onForbidden();
        return "The gateway asks for its token.";
      }
      if (!response.ok) return (await errorOf(response)) ?? `The gateway answered with status ${response.status}.`;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const parse = parser((kind, data) => this.take(kind, data));
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return reason;
        alive();
        parse(value);
      }
    } catch (error) {
      return error.name === "AbortError" ? reason : "The gateway does not answer.";
    } finally {
      clearTimeout(watchdog);
      this.abort.abort();
    }
  }

  take(kind, data) {
    let value;
    try {
      value = JSON.parse(data);
    } catch {
      return;
    }
    this.onEvent(kind, value);
    if (kind === "hello") {
      this.failures = 0;
      this.onState("live", null);
    }
  }
}

/** Returns the sentence of an error answer, or null. */
export async function errorOf(response) {
  try {
    const { error } = await response.json();
    return typeof error === "string" ? error : null;
  } catch {
    return null;
  }
}

/** Returns a function that takes pieces of an event stream, and calls `onEvent(kind, data)` for each event. */
export function parser(onEvent) {
  let rest = "";
  let kind = "message";
  let data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length > 0) onEvent(kind, data.join("\n"));
      kind = "message";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "event") kind = value;
    else if (name === "data") data.push(value);
  };
  return (piece) => {
    rest += piece;
    if (!/[\r\n]/.test(piece)) return; // a part of a long line: it is split once, at its end
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
