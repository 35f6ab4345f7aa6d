package gateway

import (
	"errors"
	"fmt"
	"net/http"

	"fleetcast/codec/command"
)

// apiError is an error as the API answers with it.
type apiError struct {
	status  int
	code    command.Code
	message string
}

func (e *apiError) Error() string { return string(e.code) + ": " + e.message }

func badRequest(format string, values ...any) error {
	return &apiError{http.StatusBadRequest, command.BadRequest, fmt.Sprintf(format, values...)}
}

func notAvailable(message string) error {
	return &apiError{http.StatusServiceUnavailable, command.NotAvailable, message}
}

// apiErrorOf returns what is answered to err. A *command.Error keeps its code
// and gets the status that fits it.
func apiErrorOf(err error) *apiError {
	var known *apiError
	if errors.As(err, &known) {
		return known
	}
	refusal := refusalOf(err)
	status := http.StatusInternalServerError
	switch refusal.Code {
	case command.BadRequest, command.BadChannel:
		status = http.StatusBadRequest
	case command.LimitExceeded:
		status = http.StatusRequestEntityTooLarge
	}
	return &apiError{status, refusal.Code, refusal.Message}
}

func answerError(w http.ResponseWriter, err error) {
	e := apiErrorOf(err)
	answerJSON(w, e.status, map[string]any{
		"error": map[string]string{"code": string(e.code), "message": e.message},
	})
}
