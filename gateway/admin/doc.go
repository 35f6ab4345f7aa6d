// Package admin is the admin port: the API, metrics, profiles, health, and the dashboard.
// It owns no state of the gateway. What belongs to a loop it asks the loop for, in portions,
// and gets it by value.
//
// Whatever a request may cost is bounded: what it sends, how long it takes, how often
// requests of a kind are served (lanes.go), and how many at a time.
//
// Any goroutine may call the methods of [Refusals] and the handler that [NewHandler]
// makes.
package admin
