// The plots of the last five minutes.

import { REACH } from "./figures.js";
import * as format from "./format.js";

const { uPlot } = globalThis;
const root = document.documentElement;
const dashes = [[], [7, 4]]; // so that series differ without colour, too
const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const font = () => `12px ${getComputedStyle(document.body).fontFamily}`;

// Every plot takes its series from columns of a Course, by their position there.
// Events have a scale of their own, to the right: one may be a million deliveries.
const plots = [
  { id: "plot-rates", show: format.measure, right: true, series: [{ label: "deliveries", column: 1 }, { label: "events", column: 2, scale: "right" }] },
  { id: "plot-latency", show: format.seconds, log: true, series: [{ label: "p50", column: 4 }, { label: "p99", column: 5 }] },
  { id: "plot-clients", show: format.count, tick: format.measure, series: [{ label: "clients", column: 3 }] },
  { id: "plot-backlog", show: format.bytes, bytes: true, series: [{ label: "backlog", column: 6 }] },
];

// width is how many values a row of the Course has.
export const width = 6;

// fromZero is a scale that begins at 0 and ends somewhat above the largest value.
const fromZero = (least) => (u, min, max) => [0, uPlot.rangeNum(0, max > 0 ? Math.max(max, least) : least, 0.1, true)[1]];

// decades is a logarithmic scale of whole decades; a quiet gateway has no values.
function decades(u, min, max) {
  if (!(min > 0)) return [1e-4, 1e-1];
  const from = 10 ** Math.floor(Math.log10(min)), to = 10 ** Math.ceil(Math.log10(max));
  return [from, Math.max(to, from * 10)];
}

// binary are the places of a scale's lines where bytes are written in KiB and MiB.
function binary(u, axis, min, max) {
  let step = 1;
  while (max / step > 5) step *= 2;
  const splits = [];
  for (let value = 0; value <= max; value += step) splits.push(value);
  return splits;
}

function axis(more) {
  return {
    stroke: colour("muted"), font: font(), grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("grid"), width: 1 }, ...more,
  };
}

// drawMarks draws a line, with a word, where the gateway was restarted.
const drawMarks = (course) => (u) => {
  const { ctx, bbox } = u, ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("warn");
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.font = font().replace("12px", `${11 * ratio}px`);
  ctx.textBaseline = "top";
  for (const mark of course.marks) {
    const x = Math.round(u.valToPos(mark, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const atEnd = x > bbox.left + bbox.width / 2;
    ctx.textAlign = atEnd ? "right" : "left";
    ctx.fillText("restarted", x + (atEnd ? -4 : 4) * ratio, bbox.top + 3 * ratio);
  }
  ctx.restore();
};

function options(plot, course, place) {
  const tick = plot.tick ?? plot.show;
  const ticks = { values: (u, splits) => splits.map((v) => (v === null ? "" : tick(v))) };
  if (plot.bytes) ticks.splits = binary;
  return {
    width: place.clientWidth, height: 190,
    scales: {
      x: { time: true, range: (u, min, max) => (max === null ? [Date.now() / 1000 - REACH / 1000, Date.now() / 1000] : [max - REACH / 1000, max]) },
      y: plot.log ? { distr: 3, range: decades } : { range: fromZero(plot.bytes ? 1024 : 1) },
      ...(plot.right && { right: { range: fromZero(1) } }),
    },
    axes: [
      axis({ values: (u, splits) => splits.map((v) => format.clock(v * 1000).slice(0, 5)), incrs: [60, 120, 300], size: 28 }),
      axis({ size: 68, ...ticks }),
      ...(plot.right ? [axis({ scale: "right", side: 1, size: 60, ...ticks, stroke: colour("series-2"), grid: { show: false } })] : []),
    ],
    cursor: { sync: { key: "time" }, drag: { x: false, y: false } },
    legend: { markers: { width: 2 } },
    series: [
      { label: "time", value: (u, v) => (v === null ? format.NONE : format.clock(v * 1000)) },
      ...plot.series.map(({ label, scale = "y" }, i) => ({
        label, scale, stroke: colour(`series-${i + 1}`), width: 1.75, dash: dashes[i],
        // A line needs two points; one alone between gaps is a dot.
        points: { size: 4 }, value: (u, v) => (v === null ? format.NONE : plot.show(v)),
      })),
    ],
    hooks: { draw: [drawMarks(course)] },
  };
}

const data = (plot, course) => [course.columns[0], ...plot.series.map(({ column }) => course.columns[column])];

// draw shows a Course. Call the function that it returns when there is more.
export function draw(course) {
  let drawn = [];
  const again = () => {
    for (const { u } of drawn) u.destroy();
    drawn = plots.map((plot) => {
      const place = document.getElementById(plot.id);
      return { plot, place, u: new uPlot(options(plot, course, place), data(plot, course), place) };
    });
  };
  again();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(() => {
    for (const { u, place } of drawn) {
      if (place.clientWidth > 0 && place.clientWidth !== u.width) u.setSize({ width: place.clientWidth, height: u.height });
    }
  }).observe(document.querySelector(".plots"));
  return () => {
    for (const { plot, u } of drawn) u.setData(data(plot, course));
  };
}
