// Package doctor compares the limits of a machine, and of a process on it, with the
// number of clients that it is to serve. It reads by package host and changes
// nothing.
package doctor
