// Package doctor compares the limits of a machine, and of a process on it, with the
// number of clients that it is to serve. It reads them by package host and changes
// nothing. Its values are plain data for one goroutine at a time.
package doctor
