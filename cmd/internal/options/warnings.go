package options

import (
	"log/slog"
	"slices"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
)

// Warn logs options that are set and have no effect.
func (o *Options) Warn(logger *slog.Logger) {
	o.warnOfVariables(logger)
	o.WarnOfNoEffect(logger)
}

// WarnOfNoEffect says which options are set without any effect, and which secrets others
// can read.
func (o *Options) WarnOfNoEffect(logger *slog.Logger) {
	o.warnOfReadableSecrets(logger)
	o.warnOfInsecure(logger)
	o.warnOfAudiences(logger)
	o.warnOfHistories(logger)
	for i, r := range o.Channels {
		if r.idle() {
			logger.Warn("a rule for channels sets nothing and has no effect; with final: true it would end the search for its channels",
				"rule", r.String(), "from", o.find(channelsOption).placeOf(i))
		}
		if o.Identifies() {
			continue
		}
		if isForSome(r.Subscribe) || isForSome(r.Publish) {
			logger.Warn("a rule for channels lets no client in, because clients cannot say who they are; set token-secret, issuers or connect-hook",
				"rule", r.String(), "from", o.find(channelsOption).placeOf(i))
		}
	}
	drops := func(r slowRule) bool { return r.Policy != gateway.SlowDisconnect }
	ruled := func(r channelRule) bool { return r.Slow != nil && *r.Slow != gateway.SlowDisconnect }
	if o.SlowPolicy != gateway.SlowDisconnect || slices.ContainsFunc(o.SlowChannels, drops) || slices.ContainsFunc(o.Channels, ruled) {
		return
	}
	for _, option := range []string{"backlog", "backlog-messages"} {
		if o.isSet(option) {
			logger.Warn("an option has no effect, because no channel has the policy drop_oldest or conflate; clients are disconnected by time, see slow-after",
				"option", o.named(option))
		}
	}
}

// warnOfAudiences says which issuers' tokens are taken whoever they are for. An issuer with
// keys at a URL mostly serves several applications (RFC 8725, 3.9).
func (o *Options) warnOfAudiences(logger *slog.Logger) {
	for i := range o.Issuers {
		if of := &o.Issuers[i].issuer; of.JWKS != "" && len(of.Audience) == 0 {
			logger.Warn("tokens that an issuer has made for other applications are taken too; write in audience how its tokens name this one",
				"issuer", of.Issuer, "from", o.find("issuers").placeOf(i))
		}
	}
}

// isForSome tells whether a rule is for clients that have shown who they are.
func isForSome(a *rules.Audience) bool { return a != nil && (*a == rules.Users || *a == rules.Tokens) }

// warnOfVariables says which environment variables have no effect.
func (o *Options) warnOfVariables(logger *slog.Logger) {
	for _, v := range o.strange {
		attributes := []any{"variable", v.name}
		if v.near != "" {
			attributes = append(attributes, "did_you_mean", v.near)
		}
		logger.Warn("an environment variable is no option and has no effect", attributes...)
	}
}
