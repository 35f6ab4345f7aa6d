package main

import (
	"net/http"
	"sync/atomic"

	"fleetcast/gateway"
	"fleetcast/gateway/web"
)

// site is what the client port has for browsers. It changes with the options.
type site struct {
	handler atomic.Pointer[http.Handler]
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// show takes over what the server's options say.
func (s *site) show(of *server) {
	pages := web.Site{
		Path:    gateway.Path,
		Tokens:  of.options.Identifies(),
		Console: of.options.Console.On,
	}
	if of.ports.publish.on() {
		pages.Publish = of.ports.publish.shown()
		_, open := of.options.Unguarded("publish")
		pages.PublishKey = !open
	}
	if of.ports.admin.on() {
		pages.Admin = of.ports.admin.shown()
		_, open := of.options.Unguarded("admin")
		pages.AdminKey = !open
	}
	for _, grant := range of.options.Grants() {
		pages.ClientPublish = append(pages.ClientPublish, web.Grant(grant))
	}
	handler := pages.Handler()
	s.handler.Store(&handler)
}
