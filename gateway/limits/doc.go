// Package limits bounds how often something may happen, how many of something there may
// be, and how much memory it may take. It has rates, quotas of connections, credits for
// events under way, lines that addresses share, the memory of unfinished input, and the work
// of one turn of a loop. It knows numbers, and no clients or channels.
//
// Credits, Quotas and InputMemory are shared: any goroutine may call their methods. An
// Account and a Starved belong to the loop of their connection, except that any goroutine
// may call Give and Feed. The number of a bucket belongs to the caller.
package limits
