// Package limits bounds how often something may happen, how many there may be and
// how much may be held: rates, quotas of connections, credits for events under way,
// memory of unfinished input, and the work of one turn of a loop. It knows numbers,
// not clients or channels.
//
// Credits, Quotas and InputMemory are shared: any goroutine may call their methods.
// An Account and a Starved belong to the loop of their connection, but for Give and
// Feed. A bucket's number belongs to its caller.
package limits
