package ingest

import "log/slog"

// logConnected tells of a publisher that has come.
func (p *publisher) logConnected() {
	limit := p.ingest.port.Settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	p.ingest.port.Log.Write(limit, p.ingest.Loop.Now(), "publisher connected",
		slog.String("address", p.remote))
}

// logGone tells of a publisher that is gone.
func (p *publisher) logGone(err error) {
	limit := p.ingest.port.Settings.Config().ConnectionLog
	if limit == 0 {
		return
	}
	p.ingest.port.Log.Write(limit, p.ingest.Loop.Now(), "publisher gone",
		slog.String("address", p.remote), slog.Any("error", err))
}
