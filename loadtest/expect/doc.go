// Package expect compares a run's result with thresholds, for scripts:
//
//	p99<5ms, lost=0, cpu_per_delivery<12us, stalled.p99<10ms
//
// A list has parts with commas between them. A part is a figure's name, an operator
// (< <= = == != >= >) and a bound. A figure of one phase has the phase's name and a dot
// before its own. Units:
//
//   - times: ns, us or µs, ms, s; only the figure seconds may have none
//   - sizes: B, kB (or KB, KiB), MB (MiB), GB (GiB), by factors of 1024, as the
//     kernel counts
//   - shares: % or none; 1 is one processor
//   - counts and rates: none, k or M; _ may stand between digits
//
// A figure of the scenario's own may have no unit. Then it is in the unit in which it is
// reported. A figure that was not measured meets no threshold.
//
// Everything here is pure. Several goroutines may use expectations.
package expect
