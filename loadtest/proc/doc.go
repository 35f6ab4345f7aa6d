// Package proc reads from /proc what processes of this machine cost, who listens on a
// port, and what the machine is.
//
// Nothing runs in the background, and nothing is kept but process numbers: every call
// reads anew. Several goroutines may use a [Group] and everything else here at once.
package proc

// root is where the kernel shows its processes.
const root = "/proc"
