package admin

import (
	"net/http"

	"fleetcast/gateway/ingest"
)

func (a *api) publish(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, int64(a.of.Settings.Config().MaxEvent+ingest.RequestRoom))
	if err != nil {
		return err
	}
	reply, err := a.of.Publish.API.Publish(r.Context(), body, r.RemoteAddr)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, reply)
	return nil
}
