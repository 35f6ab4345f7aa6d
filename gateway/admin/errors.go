package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"fleetcast/codec/command"
)

// apiError is an error as the API answers with it.
type apiError struct {
	status  int
	code    command.Code
	message string
}

// errAPIBusy is answered to whoever finds no place.
var errAPIBusy = &command.Error{
	Code: command.NotAvailable, Message: "too many requests are being served; try again later", RetryAfter: busyRetry,
}

func (e *apiError) Error() string { return string(e.code) + ": " + e.message }

func badRequest(format string, values ...any) error {
	return &command.Error{Code: command.BadRequest, Message: fmt.Sprintf(format, values...)}
}

func notAvailable(message string) error {
	return &command.Error{Code: command.NotAvailable, Message: message}
}

// apiErrorOf returns the answer to err. A *command.Error keeps its code and gets the
// status that fits it.
func apiErrorOf(err error) *apiError {
	var known *apiError
	if errors.As(err, &known) {
		return known
	}
	refusal := command.RefusalOf(err)
	status := http.StatusInternalServerError
	switch refusal.Code {
	case command.BadRequest, command.BadChannel:
		status = http.StatusBadRequest
	case command.LimitExceeded:
		status = http.StatusRequestEntityTooLarge
	case command.RateLimited:
		status = http.StatusTooManyRequests
	case command.NotAvailable:
		status = http.StatusServiceUnavailable
	}
	return &apiError{status, refusal.Code, refusal.Message}
}

func answerError(w http.ResponseWriter, err error) {
	e := apiErrorOf(err)
	fields := map[string]any{"code": string(e.code), "message": e.message}
	if refusal, ok := errors.AsType[*command.Error](err); ok && refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((refusal.RetryAfter+time.Second-1)/time.Second), 10))
		fields["retry_after_ms"] = refusal.RetryAfterMS()
	}
	answerJSON(w, e.status, map[string]any{"error": fields})
}
