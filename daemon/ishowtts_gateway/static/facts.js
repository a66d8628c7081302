// The board that is shown: its engines, hardware, sound, lines and connection.

import { byId, cut, expandable, foreign, make, setData } from "./dom.js";
import { clockTime, duration, engineName, figure, moment, number, object, text, UNKNOWN } from "./format.js";

const MAX_ENGINES = 10;

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
    box.replaceChildren(...groups.map(([title, content]) => make("section", { className: "fact-group" }, make("h3", { textContent: title }), content)));
  });
}

function groupsOf(board, info, telemetry, state) {
  const part = (name) => object(telemetry[name]);
  const [gpu, hardware, memory, speech, audio, mqtt] = ["gpu", "board", "memory", "speech", "audio", "mqtt"].map(part);
  const locked = { true: "locked", false: "not locked" }[gpu.clock_locked];
  return [
    ["Hardware", [
      ["Model", text(info.board) ?? text(hardware.model)],
      ["JetPack", text(info.jetpack) ?? text(hardware.jetpack)],
      ["Power mode", text(hardware.power_mode)],
      ["GPU clocks", locked ?? null],
      ["Fan", known(hardware.fan_pct, 0, "%")],
      ["Throttle events", known(hardware.throttle_events)],
      ["Memory", share(memory.used_mb, memory.total_mb)],
      ["Daemon, workers", number(memory.process_mb) === null ? null : `${gigabytes(memory.process_mb)}, ${gigabytes(memory.worker_mb)}`],
      ["Reserved on the GPU", number(memory.gpu_mb) === null ? null : gigabytes(memory.gpu_mb)],
    ]],
    ["Sound", [
      ["Device", text(state.device) ?? text(audio.device)],
      ["Volume", known(board.volume ?? state.volume, 0, "%")],
      ["Configured volume", known(state.volume_configured, 0, "%")],
      ["Can be heard", { true: "yes", false: `no${text(state.silent) ? ` (${state.silent.replaceAll("_", " ")})` : ""}` }[state.audible] ?? null],
      ["Underruns", known(audio.underruns)],
      ["Device losses", known(audio.device_losses)],
    ]],
    ["Lines since the start", [
      ["Ended", known(speech.lines_total)],
      ["Failed", known(speech.lines_failed)],
      ["Rejected", known(speech.lines_rejected)],
      ["In the last minute", known(speech.lines_per_min)],
      ["Speech", number(speech.audio_s_total) === null ? null : duration(speech.audio_s_total)],
      ["From the cache", number(speech.cache_hit_rate) === null ? null : figure(speech.cache_hit_rate * 100, 0, "%")],
      ["Failures, last 100", number(speech.error_rate) === null ? null : figure(speech.error_rate * 100, 0, "%")],
    ]],
    ["Daemon", [
      ["Version", text(info.version)],
      ["Host", text(info.host)],
      ["Topic", text(board.root)],
      ["Runs for", number(telemetry.uptime_s) === null ? null : duration(telemetry.uptime_s)],
      ["Reconnects", known(mqtt.reconnects)],
      ["Last reading", moment(telemetry.ts) === null ? null : clockTime(moment(telemetry.ts))],
      ["Licence of the weights", text(info.weights_licence)],
    ]],
  ];
}

const known = (value, digits = 0, unit = "") => (number(value) === null ? null : figure(value, digits, unit));

const gigabytes = (value) => (number(value) === null ? UNKNOWN : value < 1000 ? figure(value, 0, "MB") : figure(value / 1000, 1, "GB"));

function share(used, total) {
  if (number(used) === null) return null;
  const words = number(total) ? `${gigabytes(used)} of ${gigabytes(total)}` : gigabytes(used);
  if (!number(total)) return words;
  const meter = make("meter", { min: 0, max: total, value: used, high: total * 0.9, "aria-label": "Used memory" });
  return make("span", { className: "with-meter" }, words, meter);
}

/** Returns a list of facts without those that are unknown. */
function list(facts) {
  const shown = facts.filter(([, value]) => value !== null);
  if (shown.length === 0) return make("p", { className: "quiet", textContent: "Not known yet." });
  return make("dl", { className: "fact-list" }, ...shown.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", {}, typeof value === "string" ? foreign(cut(value, 120) ?? value) : value))));
}

function engines(info, telemetry, state) {
  const known = Array.isArray(telemetry.engines) ? telemetry.engines.map(object).slice(0, MAX_ENGINES) : [];
  const why = text(info.engine_why);
  const content = known.length === 0 ? make("p", { className: "quiet", textContent: "Not known yet." }) : make("ul", { className: "engine-list", role: "list" }, ...known.map((engine) => engineItem(engine, text(state.engine))));
  return make("div", {}, content, why === null ? null : make("p", { className: "hint" }, expandable(why, 200)));
}

function engineItem(engine, leads) {
  const name = engineName(engine.name);
  const state = text(engine.state) ?? "unknown";
  const death = text(engine.last_death);
  const figures = [["RTF", number(engine.rtf_p50) === null ? null : `${figure(engine.rtf_p50, 2)} (95 %: ${figure(engine.rtf_p95, 2)})`],
    ["First sound", number(engine.ttfa_s_p50) === null ? null : `${figure(engine.ttfa_s_p50, 2, "s")} (95 %: ${figure(engine.ttfa_s_p95, 2, "s")})`],
    ["Restarts", number(engine.restarts) ? figure(engine.restarts) : null]].filter(([, value]) => value !== null);
  const badge = make("span", { className: "badge", textContent: state.slice(0, 20) });
  setData(badge, "kind", state);
  return make("li", {},
    make("p", { className: "engine-name" }, foreign(cut(name, 30) ?? name), badge, engine.name === leads ? make("span", { className: "meta", textContent: "leads" }) : null),
    make("p", { className: "line-meta" }, ...figures.map(([key, value]) => make("span", { className: "meta", textContent: `${key} ${value}` }))),
    death === null ? null : make("p", { className: "hint" }, "The last worker ended: ", expandable(death, 160)));
}
