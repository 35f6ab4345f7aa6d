// Package host reads what /proc and /sys say of a machine and of a process on it. A
// Host is plain data; any goroutine may use it.
package host
