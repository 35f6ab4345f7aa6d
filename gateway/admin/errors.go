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

	after     time.Duration // after which to try again; 0 if that is not known
	challenge string        // for WWW-Authenticate, or empty
	reason    string        // as which it is counted; empty: that of its status, if any
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
	case command.PermissionDenied:
		status = http.StatusForbidden
	case command.LimitExceeded:
		status = http.StatusRequestEntityTooLarge
	case command.RateLimited:
		status = http.StatusTooManyRequests
	case command.Conflict:
		status = http.StatusConflict
	case command.NotAvailable:
		status = http.StatusServiceUnavailable
	}
	return &apiError{status: status, code: refusal.Code, message: refusal.Message}
}

// retryAfter is the time after which the same request is worth another try; 0
// if that is not known.
func retryAfter(err error) time.Duration {
	if refusal, ok := errors.AsType[*command.Error](err); ok {
		return refusal.RetryAfter
	}
	if refusal, ok := errors.AsType[*apiError](err); ok {
		return refusal.after
	}
	return 0
}

func answerError(w http.ResponseWriter, err error) {
	e, after := apiErrorOf(err), retryAfter(err)
	fields := map[string]any{"code": string(e.code), "message": e.message}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
		fields["retry_after_ms"] = (&command.Error{RetryAfter: after}).RetryAfterMS()
	}
	if refusal, ok := errors.AsType[*command.Error](err); ok && refusal.Now != nil {
		fields["epoch"], fields["offset"] = string(refusal.Now.Epoch), refusal.Now.Offset
	}
	answerJSON(w, e.status, map[string]any{"error": fields})
}
