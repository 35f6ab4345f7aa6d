
(() => {
"use strict";

const data = JSON.parse(document.getElementById("plot-data").textContent);
const root = document.documentElement;
const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3]]; // so that series differ without colour, too
const printWidth = 640;
const number = new Intl.NumberFormat("en", {maximumSignificantDigits: 3, notation: "standard"});
const compact = new Intl.NumberFormat("en", {maximumSignificantDigits: 3, notation: "compact"});

const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
const font = () => "12px " + getComputedStyle(document.body).fontFamily;

function show(value, unit) {
  if (value == null) return "–";
  return number.format(value) + (unit ? " " + unit : "");
}

// eachPhase calls draw with the place of each phase that is in sight.
function eachPhase(u, draw) {
  const {left, top, width, height} = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  (data.bands || []).forEach((band, i) => {
    const from = Math.max(u.valToPos(band.from, "x", true), left);
    const to = Math.min(u.valToPos(band.to, "x", true), left + width);
    if (to > from) draw(band, i, from, to, top, height);
  });
  u.ctx.restore();
}

// Every other phase is shaded, beneath the grid.
function shadePhases(u) {
  u.ctx.fillStyle = colour("band");
  eachPhase(u, (band, i, from, to, top, height) => {
    if (i % 2) u.ctx.fillRect(from, top, to - from, height);
  });
}

// Each phase begins with a line and its name, above the grid and beneath the series.
function namePhases(u) {
  const ctx = u.ctx, ratio = devicePixelRatio;
  eachPhase(u, (band, i, from, to, top, height) => {
    ctx.font = font().replace("12px", 11 * ratio + "px");
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    const name = shortened(ctx, band.name, to - from - 8 * ratio);
    if (name) {
      ctx.fillStyle = colour("card");
      ctx.fillRect(from, top, ctx.measureText(name).width + 8 * ratio, 16 * ratio);
    }
    ctx.fillStyle = colour("muted");
    if (i > 0) ctx.fillRect(Math.round(from), top, ratio, height);
    if (name) ctx.fillText(name, from + 4 * ratio, top + 3 * ratio);
  });
}

function shortened(ctx, text, width) {
  if (ctx.measureText(text).width <= width) return text;
  for (let n = Math.min(text.length, 60); n >= 3; n--) {
    const part = text.slice(0, n) + "…";
    if (ctx.measureText(part).width <= width) return part;
  }
  return "";
}

function axis(more) {
  return Object.assign({
    stroke: colour("muted"), font: font(), labelFont: font(), labelSize: 20, size: 36,
    grid: {stroke: colour("grid"), width: 1}, ticks: {stroke: colour("grid"), width: 1},
  }, more);
}

function options(plot, width) {
  const categories = plot.categories;
  const x = categories
    ? axis({splits: () => categories.map((_, i) => i), values: () => categories, label: "percentile"})
    : axis({label: "seconds since the run's start"});
  const y = axis({label: plot.axis, size: 58});
  if (!plot.log) y.values = (u, splits) => splits.map((v) => compact.format(v));
  return {
    width, height: width < 480 ? 230 : 290,
    scales: {
      x: categories ? {time: false, range: [-0.25, categories.length - 0.75]} : {time: false},
      y: plot.log ? {distr: 3} : {range: (u, min, max) => [0, uPlot.rangeNum(0, max > 0 ? max : 1, 0.1, true)[1]]},
    },
    axes: [x, y],
    cursor: categories ? {drag: {x: false, y: false}} : {sync: {key: "time"}},
    series: [
      {label: categories ? "percentile" : "time", value: (u, v) => v == null ? "–" : categories ? categories[v] : show(v, "s")},
      ...plot.series.map((s, i) => ({
        label: s.label, stroke: colour("series-" + (i % 8 + 1)), width: 1.75, dash: dashes[i % dashes.length],
        points: categories ? {show: true, size: 7} : {size: 5}, value: (u, v) => show(v, plot.unit),
      })),
    ],
    hooks: categories ? {} : {drawClear: [shadePhases], drawAxes: [namePhases]},
  };
}

let drawn = [];

function draw(width) {
  for (const old of drawn) old.destroy();
  drawn = data.plots.map((plot) => {
    const place = document.getElementById(plot.id);
    const xs = plot.categories ? plot.categories.map((_, i) => i) : data.time;
    return new uPlot(options(plot, width || place.clientWidth), [xs, ...plot.series.map((s) => s.values)], place);
  });
}

function resize() {
  for (const u of drawn) {
    const width = u.root.parentNode.clientWidth;
    if (width > 0 && width !== u.width) u.setSize({width, height: u.height});
  }
}

if (data.plots) {
  draw();
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  addEventListener("beforeprint", () => { root.classList.add("printing"); draw(printWidth); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); draw(); });
}
})();
