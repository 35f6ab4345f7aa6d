package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"fleetcast/gateway"
)

// operator is a client of the admin API. Whatever it is answered must be as
// openapi.yaml says. Its methods may be called by several goroutines.
type operator struct {
	testing.TB
	web    *httptest.Server
	router routers.Router
	met    sync.Map // "GET /api/channels 200" and so on
}

// apiReply is an answer of the API.
type apiReply struct {
	status int
	header http.Header
	body   string
}

const jsonType = "Content-Type: application/json"

// describe loads openapi.yaml, which must be valid, its examples included.
func describe(tb testing.TB) *openapi3.T {
	tb.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("admin/openapi.yaml")
	if err != nil {
		tb.Fatalf("loading the description: %v", err)
	}
	document.Servers = nil
	if err := document.Validate(context.Background()); err != nil {
		tb.Fatalf("the description is not valid: %v", err)
	}
	return document
}

// operate serves the admin port of g.
func operate(tb testing.TB, g *gateway.Gateway, admin gateway.Admin) *operator {
	tb.Helper()
	router, err := legacy.NewRouter(describe(tb))
	if err != nil {
		tb.Fatal(err)
	}
	web := httptest.NewUnstartedServer(g.AdminHandler(admin))
	web.Config.DisableGeneralOptionsHandler = true // as the real port has it
	web.Start()
	tb.Cleanup(web.Close)
	// Without this, net/http sends the body of a request that expects 100-continue at once.
	web.Client().Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	return &operator{TB: tb, web: web, router: router}
}

func (s *server) operator() *operator {
	s.Helper()
	return operate(s.TB, s.Gateway, gateway.Admin{})
}

// call sends a request. A body is sent as JSON unless headers, each a name, a
// colon and a value, say otherwise.
func (o *operator) call(method, path, body string, headers ...string) apiReply {
	o.Helper()
	request, err := http.NewRequest(method, o.web.URL+path, strings.NewReader(body))
	if err != nil {
		o.Fatalf("%s %s: %v", method, path, err)
	}
	if method == http.MethodPost && len(headers) == 0 {
		headers = []string{jsonType}
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	response, err := o.web.Client().Do(request)
	// A body that is too long is refused before all of it is read, and the connection closed half
	// a second later. A starved client may still be writing then, and not see the answer.
	for again := 0; again < 5 && len(body) > 64<<10 && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)); again++ {
		request.Body = io.NopCloser(strings.NewReader(body))
		response, err = o.web.Client().Do(request)
	}
	if err != nil {
		o.Errorf("%s %s: %v", method, path, err)
		return apiReply{}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		o.Errorf("%s %s: %v", method, path, err)
	}
	reply := apiReply{response.StatusCode, response.Header, string(text)}
	o.check(request, body, reply)
	return reply
}

// check compares with the description. What the gateway accepts the description
// must accept too.
func (o *operator) check(request *http.Request, body string, reply apiReply) {
	o.Helper()
	noPath := reply.status == http.StatusNotFound && strings.Contains(reply.body, "/api/openapi.yaml")
	encoded := strings.Contains(request.URL.EscapedPath(), "%2F") // the router would take it for a slash
	if noPath || encoded || request.Method == http.MethodHead || !strings.HasPrefix(request.URL.Path, "/api/") {
		return // described in words
	}
	switch reply.status {
	case http.StatusMisdirectedRequest, http.StatusHTTPVersionNotSupported:
		return // so is this
	}
	route, parameters, err := o.router.FindRoute(request)
	if err != nil {
		if reply.status < http.StatusBadRequest {
			o.Errorf("%s %s is not described (%v), but answered with %d", request.Method, request.URL, err, reply.status)
		}
		return
	}
	o.met.Store(request.Method+" "+route.Path+" "+http.StatusText(reply.status), true)
	asked := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeRequestBody: body == "", SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	answered := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: reply.status, Header: reply.header, Options: asked.Options,
		Body: io.NopCloser(strings.NewReader(reply.body)),
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answered); err != nil {
		o.Errorf("the answer to %s %s, %d, is not as described: %v\n%.500s", request.Method, request.URL, reply.status, err, reply.body)
	}
	if reply.status < 300 {
		request.Body = io.NopCloser(bytes.NewReader([]byte(body)))
		if err := openapi3filter.ValidateRequest(context.Background(), asked); err != nil {
			o.Errorf("%s %s is accepted and not as described: %v", request.Method, request.URL, err)
		}
	}
}

func (o *operator) get(path string) apiReply        { o.Helper(); return o.call("GET", path, "") }
func (o *operator) post(path, body string) apiReply { o.Helper(); return o.call("POST", path, body) }

// refused fails unless the reply is this error.
func (o *operator) refused(reply apiReply, status int, code, message string) {
	o.Helper()
	a := decode[answer](o, reply.body)
	if reply.status != status || a.Error == nil || a.Error.Code != code || !strings.Contains(a.Error.Message, message) {
		o.Errorf("answered with %d %s, want %d %s %q", reply.status, reply.body, status, code, message)
	}
}

// answered decodes a reply, which must have this status.
func answered[T any](tb testing.TB, reply apiReply, status int) T {
	tb.Helper()
	if reply.status != status {
		tb.Fatalf("answered with %d %s, want %d", reply.status, reply.body, status)
	}
	return decode[T](tb, reply.body)
}

// connectKnown makes a client and returns its id too. receiveBuffer is as for
// dial.
func (s *server) connectKnown(receiveBuffer int) (*peer, string) {
	s.Helper()
	p := dial(s.TB, s.clientAddr(), receiveBuffer)
	p.sends(head + "\r\n")
	p.upgraded()
	return p, decode[message](s, p.text()).Client
}
