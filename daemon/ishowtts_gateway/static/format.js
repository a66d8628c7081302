// Values from a board as text. What is unknown, or not of the expected type, is a dash.

export const UNKNOWN = "–";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const formats = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));

const LARGEST = 1e12; // as in the gateway: no reading is larger

/** Returns a plausible number, or null. */
export const number = (value) => (typeof value === "number" && Math.abs(value) < LARGEST ? value : null);

/** Returns a text that is not empty, or null. */
export const text = (value) => (typeof value === "string" && value !== "" ? value : null);

/** Returns an object, or an empty one. */
export const object = (value) => (typeof value === "object" && value !== null && !Array.isArray(value) ? value : {});

/** Returns what a table has for a name from outside, or null: an object inherits names such as `constructor`. */
export const entry = (table, name) => (typeof name === "string" && Object.hasOwn(table, name) ? table[name] : null);

/** Returns the texts of a list. */
export const texts = (value) => (Array.isArray(value) ? value.filter((item) => typeof item === "string") : []);

/** Returns a number with so many digits after the point, and its unit. */
export function figure(value, digits = 0, unit = "") {
  if (number(value) === null) return UNKNOWN;
  return unit ? `${formats[digits].format(value)}\u00a0${unit}` : formats[digits].format(value);
}

/** Returns seconds as in `0.31 s`, `12 s`, `3 min 5 s`, `2 h 14 min`, `3 d 4 h`. */
export function duration(seconds) {
  if (number(seconds) === null) return UNKNOWN;
  if (seconds < 10) return figure(seconds, seconds < 1 ? 2 : 1, "s");
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3600) return pair(whole, 60, "min", "s");
  if (whole < 86_400) return pair(Math.round(whole / 60), 60, "h", "min");
  return pair(Math.round(whole / 3600), 24, "d", "h");
}

function pair(value, size, large, small) {
  const rest = value % size;
  return `${Math.floor(value / size)}\u00a0${large}${rest ? ` ${rest}\u00a0${small}` : ""}`;
}

/** Returns a position in a line, as in `0:07`. */
export function position(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Returns the milliseconds of a UTC time as boards write it, or null. */
export function moment(value) {
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

/** Returns a time of today as in `14:02:07`, an earlier one with its date. */
export function clockTime(milliseconds, hasSeconds = true) {
  if (milliseconds === null) return UNKNOWN;
  const date = new Date(milliseconds);
  const time = (hasSeconds ? clock : minutes).format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${day.format(date)}, ${time}`;
}

/** Returns `1 line`, `2 lines`. */
export const count = (many, noun) => `${formats[0].format(many)} ${noun}${many === 1 ? "" : "s"}`;

/** Returns a text that starts with a capital. */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** Returns a text with a capital, and with a full stop if it has no mark at its end. */
export const sentence = (words) => capital(words) + (/[.!?…:]$/.test(words) ? "" : ".");

const ENGINES = new Map([["f5", "F5"], ["hibari", "hibari"], ["espeak", "espeak-ng"], ["remote", "other boards"]]);

/** Returns the name of an engine as people write it. */
export const engineName = (name) => (text(name) === null ? UNKNOWN : (ENGINES.get(name) ?? name));
