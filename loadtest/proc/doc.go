// Package proc tells what processes of this machine cost, who listens on a port
// and what the machine is, by reading /proc.
//
// Nothing runs in the background and nothing is kept but process numbers: every
// call reads afresh. A [Group] and everything else here may be used by several
// goroutines at once.
package proc

// root is where the kernel shows its processes.
const root = "/proc"
