// One chart: an SVG of lines, steps or dots over the last hour, with its values in words.

import { make, makeSvg, setText } from "./dom.js";
import { clockTime, engineName, entry, figure, number, UNKNOWN } from "./format.js";

const HOUR_S = 3600;
const NEAR_S = 90; // a dot this near belongs to the chosen time
const MAX_DOT = 6; // an RTF above this is drawn at the top
const MARKS = { f5: ["circle", "a"], espeak: ["triangle", "b"], hibari: ["square", "c"] };

const path = (kind, d) => makeSvg("path", { class: kind, d });

/** Draws one panel. `words` is what it shows now, in words. */
export class Chart {
  constructor(panel) {
    this.panel = panel;
    this.words = "";
    const id = `chart-${panel.id}`;
    this.title = make("h3", { id, textContent: panel.unit ? `${panel.title} (${panel.unit})` : panel.title });
    this.values = make("p", "chart-values");
    this.svg = makeSvg("svg", { class: "chart-plot", role: "img", "aria-labelledby": `${id} ${id}-words` });
    this.summary = make("figcaption", { id: `${id}-words`, className: "visually-hidden" });
    this.empty = make("p", "chart-empty");
    this.element = make("figure", { className: "chart", "data-panel": panel.id },
      make("div", "chart-head", this.title, this.values), make("div", "chart-area", this.svg, this.empty), this.summary);
  }

  /** Returns the time at a horizontal place of the screen. */
  timeAt(clientX) {
    const { left } = this.svg.getBoundingClientRect();
    const share = (clientX - left - this.left) / (this.width - this.left - this.right);
    return this.end - HOUR_S * (1 - Math.min(1, Math.max(0, share)));
  }

  /** Draws the hour that ends at `end`, a time in seconds. `cursor` is the time that was chosen, or null. */
  draw(series, end, cursor, interval_s) {
    const box = this.svg.parentElement;
    if (box.clientWidth === 0) return;
    this.end = end;
    this.width = box.clientWidth;
    this.height = box.clientHeight;
    const em = parseFloat(getComputedStyle(this.svg).fontSize);
    this.left = em * 3.3;
    this.right = em * 0.6;
    this.top = em * 0.6;
    this.bottom = em * 1.6;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const sets = series === null ? [] : this.panel.dots ? dotsOf(series, end) : linesOf(series, this.panel, end);
    const hasValues = sets.some((set) => set.points.length > 0);
    this.empty.hidden = series === null || hasValues;
    setText(this.empty, this.panel.dots ? "No line in this hour." : "This board has no such reading.");
    this.scale(sets);
    const parts = this.axes(em);
    const gap_s = Math.max(20, 3.5 * (number(interval_s) ?? 5));
    if (this.panel.dots) parts.push(...sets.flatMap((set) => this.dots(set, em)));
    else for (const set of sets) parts.push(...this.line(set, gap_s));
    if (cursor !== null) parts.push(path("chart-cursor", `M${this.x(cursor)} ${this.top}V${this.height - this.bottom}`));
    this.svg.replaceChildren(...parts);
    this.say(sets, cursor, gap_s);
  }

  scale(sets) {
    const [floor, ceiling] = this.panel.floor;
    let low = floor;
    let high = ceiling;
    for (const { points } of sets) {
      for (const [, value] of points) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    if (this.panel.dots) high = Math.min(high, MAX_DOT);
    this.step = niceStep((high - low) / 3);
    this.low = Math.floor(low / this.step) * this.step;
    this.high = Math.ceil(high / this.step - 1e-9) * this.step;
  }

  x(time) {
    return this.left + (this.width - this.left - this.right) * (1 - (this.end - time) / HOUR_S);
  }

  y(value) {
    const share = (Math.min(value, this.high) - this.low) / (this.high - this.low);
    return this.top + (this.height - this.top - this.bottom) * (1 - share);
  }

  axes(em) {
    const parts = [];
    const right = this.width - this.right;
    for (let value = this.low; value <= this.high + this.step / 2; value += this.step) {
      const y = Math.round(this.y(value)) + 0.5;
      parts.push(path("chart-grid", `M${this.left} ${y}H${right}`));
      parts.push(makeSvg("text", { x: this.left - em * 0.5, y: y + em * 0.35, "text-anchor": "end" }, figure(value, this.step < 1 ? (this.step < 0.1 ? 2 : 1) : 0)));
    }
    const quarter = 900;
    for (let time = Math.ceil((this.end - HOUR_S) / quarter) * quarter; time <= this.end; time += quarter) {
      const x = this.x(time);
      if (x < this.left + em || x > right - em * 1.2) continue;
      parts.push(makeSvg("text", { x, y: this.height - em * 0.3, "text-anchor": "middle" }, clockTime(time * 1000, false).slice(-5)));
    }
    if (this.panel.limit !== undefined) parts.push(path("chart-limit", `M${this.left} ${this.y(this.panel.limit)}H${right}`));
    return parts;
  }

  /** Draws a line, with a gap where nothing is known. Of the points on one pixel only the extremes are drawn. */
  line({ points, kind }, gap_s) {
    const pieces = [];
    let before = null;
    let lastY = 0;
    let pixel = null;
    const flush = () => {
      if (pixel === null) return;
      if (pixel.min !== pixel.max) pieces.push(`L${pixel.x} ${pixel.min}L${pixel.x} ${pixel.max}`);
      pieces.push(`L${pixel.x} ${pixel.last}`);
      pixel = null;
    };
    for (const [time, value] of points) {
      const x = Math.round(this.x(time) * 2) / 2;
      const y = Math.round(this.y(value) * 10) / 10;
      if (before === null || time - before > gap_s) {
        flush();
        pieces.push(`M${x} ${y}`);
      } else if (this.panel.steps) pieces.push(`H${x}V${y}`);
      else if (pixel !== null && pixel.x === x) {
        pixel.min = Math.min(pixel.min, y);
        pixel.max = Math.max(pixel.max, y);
        pixel.last = y;
      } else {
        flush();
        pixel = { x, min: y, max: y, last: y };
      }
      before = time;
      lastY = y;
    }
    flush();
    if (pieces.length === 0) return [];
    const parts = [path(`chart-line ${kind}`, pieces.join(""))];
    if (kind === "a" && this.end - before < gap_s) parts.push(makeSvg("circle", { class: "chart-end", cx: this.x(before), cy: lastY, r: 3 }));
    return parts;
  }

  dots({ points, kind, shape }, em) {
    const size = Math.max(2, em * 0.2);
    const paths = { "": "", slow: "" };
    for (const [time, value] of points) paths[value >= this.panel.limit ? "slow" : ""] += mark(shape, this.x(time), this.y(value), size);
    return Object.entries(paths).map(([speed, d]) => path(`chart-dot ${kind} ${speed}`, d));
  }

  /** Writes the values: those at the chosen time, else the newest. */
  say(sets, cursor, gap_s) {
    const { digits, unit, title } = this.panel;
    const parts = [];
    const words = [];
    for (const set of [...sets].reverse()) {
      const near_s = this.panel.dots ? NEAR_S : gap_s;
      const point = cursor === null ? newest(set.points, this.panel.dots ? HOUR_S : gap_s, this.end) : nearest(set.points, cursor, near_s);
      const value = point === null ? UNKNOWN : figure(point[1], digits, unit);
      const { name } = set;
      parts.push(make("span", `chart-value ${set.kind}`, name ? make("span", "chart-key", name) : "", make("strong", {}, point === null ? UNKNOWN : figure(point[1], digits))));
      words.push(`${name ? `${name} ` : ""}${value}`);
    }
    this.words = `${title}: ${words.join(", ") || UNKNOWN}`;
    const mark = words.join();
    if (this.mark !== mark) {
      this.mark = mark;
      this.values.replaceChildren(...parts);
    }
    if (cursor === null) setText(this.summary, sets.map((set) => range(set, digits, unit)).join(" "));
  }
}

/** Returns a step of the axis: 1, 2 or 5 times a power of ten. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
}

/** Returns a set of dots for each engine. */
function dotsOf(series, end) {
  const sets = new Map();
  for (const [time, value, engine] of series.rtf) {
    if (time <= end - HOUR_S || time > end || number(value) === null) continue;
    const known = entry(MARKS, engine);
    const [shape, kind] = known ?? ["circle", "max"];
    if (!sets.has(kind)) sets.set(kind, { kind, shape, name: known ? engineName(engine) : "other", points: [] });
    sets.get(kind).points.push([time, value]);
  }
  return [...sets.values()].sort((one, other) => (one.kind < other.kind ? 1 : -1));
}

function linesOf(series, panel, end) {
  const start = series.points.findIndex(([time]) => time > end - HOUR_S);
  const inside = start < 0 ? [] : series.points.slice(start);
  return panel.lines.map(([column, name, kind]) => {
    const place = series.columns.indexOf(column);
    const points = place < 0 ? [] : inside.filter((row) => number(row[place]) !== null && row[0] <= end).map((row) => [row[0], row[place]]);
    return { name, kind, points };
  });
}

const newest = (points, within_s, end) => (points.length > 0 && end - points.at(-1)[0] < within_s ? points.at(-1) : null);

function nearest(points, time, within_s) {
  let best = null;
  for (const point of points) if (best === null || Math.abs(point[0] - time) < Math.abs(best[0] - time)) best = point;
  return best !== null && Math.abs(best[0] - time) <= within_s ? best : null;
}

function range({ points, name }, digits, unit) {
  if (points.length === 0) return `${name} unknown.`.trimStart();
  let low = Infinity;
  let high = -Infinity;
  for (const [, value] of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return `${name} ${figure(points.at(-1)[1], digits, unit)}, in the last hour ${figure(low, digits)} to ${figure(high, digits, unit)}.`.trimStart();
}

function mark(shape, x, y, size) {
  const [left, top] = [(x - size).toFixed(1), (y - size).toFixed(1)];
  if (shape === "square") return `M${left} ${top}h${2 * size}v${2 * size}h${-2 * size}z`;
  if (shape === "triangle") return `M${x.toFixed(1)} ${top}l${size * 1.1} ${size * 2}h${-size * 2.2}z`;
  return `M${left} ${y.toFixed(1)}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`;
}
