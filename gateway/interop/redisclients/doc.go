// Package redisclients has Redis libraries for Go publish to the gateway. It is a module of its own, so that
// whoever uses fleetcast does not get their dependencies.
package redisclients
