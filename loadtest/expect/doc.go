// Package expect holds a run's result against thresholds, for scripts:
//
//	p99<5ms, lost=0, cpu_per_delivery<12us, stalled.p99<10ms
//
// A list is parts with commas between them; a part is a figure's name, an
// operator (< <= = == != >= >) and a bound. A figure of one phase has the
// phase's name and a dot before its own. Units:
//
//   - times: ns, us or µs, ms, s; only the figure seconds may go without
//   - sizes: B, kB (or KB, KiB), MB (MiB), GB (GiB), by factors of 1024, as the
//     kernel counts
//   - shares: % or none; 1 is one processor
//   - counts and rates: none, k or M; _ may stand between digits
//
// A figure of the scenario's own may go without a unit: it is then in the unit
// in which it is reported. A figure that was not measured meets no threshold.
//
// Everything here is pure; expectations may be used by several goroutines.
package expect
