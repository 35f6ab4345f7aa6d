package gateway

import "net/http"

func (a *api) publish(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, int64(a.of.settings.Config().MaxEvent+RequestRoom))
	if err != nil {
		return err
	}
	reply, err := a.of.publish.api.publish(r.Context(), body, r.RemoteAddr)
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, reply)
	return nil
}
