// The board that is shown: its engines, hardware, sound, lines and connection.

import { badge, byId, clip, expandable, foreign, make } from "./dom.js";
import { clockTime, duration, engineName, figure, moment, number, object, text, UNKNOWN } from "./format.js";

/** Shows what is known about the board. It is drawn again only if a value has changed. */
export function mountFacts(store) {
  const box = byId("board-facts");
  let shown = null;
  store.subscribe(() => {
    const board = store.device;
    byId("board").hidden = board === null;
    byId("voices").hidden = board === null;
    if (!board) return;
    const wanted = JSON.stringify([board.name, board.root, board.info, board.telemetry, board.state, board.volume]);
    if (wanted === shown) return;
    shown = wanted;
    const [info, telemetry, state] = [object(board.info), object(board.telemetry), object(board.state)];
    const groups = [["Engines", engines(info, telemetry, state)], ...groupsOf(board, info, telemetry, state).map(([title, facts]) => [title, list(facts)])];
    box.replaceChildren(...groups.map(([title, content]) => make("section", "fact-group", make("h3", {}, title), content)));
  });
}

function groupsOf(board, info, telemetry, state) {
  const part = (name) => object(telemetry[name]);
  const [gpu, hardware, memory, speech, audio, mqtt] = ["gpu", "board", "memory", "speech", "audio", "mqtt"].map(part);
  return [
    ["Hardware", [
      ["Model", text(info.board)],
      ["JetPack", text(info.jetpack)],
      ["Power mode", text(hardware.power_mode)],
      ["GPU clocks", either(gpu.clock_locked, "locked", "not locked")],
      ["Fan", known(hardware.fan_pct, 0, "%")],
      ["Throttle events", known(hardware.throttle_events)],
      ["Memory", share(memory.used_mb, memory.total_mb)],
      ["Daemon, workers", given(memory.process_mb, (own) => `${gigabytes(own)}, ${gigabytes(memory.worker_mb)}`)],
    ]],
    ["Sound", [
      ["Device", text(state.device) ?? text(audio.device)],
      ["Volume", known(board.volume ?? state.volume, 0, "%")],
      ["Configured volume", known(state.volume_configured, 0, "%")],
      ["Can be heard", either(state.audible, "yes", `no${text(state.silent) ? ` (${state.silent.replaceAll("_", " ")})` : ""}`)],
      ["Underruns", known(audio.underruns)],
      ["Device losses", known(audio.device_losses)],
    ]],
    ["Lines since the start", [
      ["Ended", known(speech.lines_total)],
      ["Failed", known(speech.lines_failed)],
      ["Rejected", known(speech.lines_rejected)],
      ["In the last minute", known(speech.lines_per_min)],
      ["Speech", given(speech.audio_s_total, duration)],
      ["From the cache", given(speech.cache_hit_rate, percent)],
      ["Failures, last 100", given(speech.error_rate, percent)],
    ]],
    ["Daemon", [
      ["Version", text(info.version)],
      ["Host", text(info.host)],
      ["Topic", text(board.root)],
      ["Runs for", given(telemetry.uptime_s, duration)],
      ["Reconnects", known(mqtt.reconnects)],
      ["Last reading", moment(telemetry.ts) === null ? null : clockTime(moment(telemetry.ts))],
      ["Licence of the weights", text(info.weights_licence)],
    ]],
  ];
}

const known = (value, digits = 0, unit = "") => given(value, (found) => figure(found, digits, unit));

const given = (value, format) => (number(value) === null ? null : format(value));

const either = (value, yes, no) => (value === true ? yes : value === false ? no : null);

const percent = (part) => figure(part * 100, 0, "%");

const gigabytes = (value) => (number(value) === null ? UNKNOWN : value < 1000 ? figure(value, 0, "MB") : figure(value / 1000, 1, "GB"));

function share(used, total) {
  if (number(used) === null) return null;
  if (!number(total)) return gigabytes(used);
  const meter = make("meter", { min: 0, max: total, value: used, high: total * 0.9, "aria-label": "Used memory" });
  return make("span", "with-meter", `${gigabytes(used)} of ${gigabytes(total)}`, meter);
}

/** Returns a list of facts without those that are unknown. */
function list(facts) {
  const shown = facts.filter(([, value]) => value !== null);
  if (shown.length === 0) return make("p", "quiet", "Not known yet.");
  return make("dl", "fact-list", ...shown.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, typeof value === "string" ? foreign(clip(value, 120)) : value))));
}

function engines(info, telemetry, state) {
  const known = Array.isArray(telemetry.engines) ? telemetry.engines.map(object) : [];
  const why = text(info.engine_why);
  const content = known.length === 0 ? make("p", "quiet", "Not known yet.") : make("ul", { className: "engine-list", role: "list" }, ...known.map((engine) => engineItem(engine, text(state.engine))));
  return make("div", {}, content, why === null ? null : make("p", "hint", "Why ", foreign(clip(engineName(state.engine), 30)), " leads: ", expandable(why, 200)));
}

function engineItem(engine, leads) {
  const name = engineName(engine.name);
  const state = text(engine.state) ?? "unknown";
  const death = text(engine.last_death);
  const figures = [["RTF", given(engine.rtf_p50, (median) => `${figure(median, 2)}, 95 % up to ${figure(engine.rtf_p95, 2)}`)],
    ["First sound", given(engine.ttfa_s_p50, (median) => `${figure(median, 2, "s")}, 95 % up to ${figure(engine.ttfa_s_p95, 2, "s")}`)],
    ["Restarts", number(engine.restarts) ? figure(engine.restarts) : null]].filter(([, value]) => value !== null);
  return make("li", {},
    make("p", "engine-name", foreign(clip(name, 30)), badge(state), engine.name === leads ? make("span", "meta", "leads") : null),
    make("p", "line-meta", ...figures.map(([key, value]) => make("span", "meta", `${key} ${value}`))),
    death === null ? null : make("p", "hint", "The last worker ended: ", expandable(death, 160)));
}
