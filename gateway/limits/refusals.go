package limits

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"fleetcast/codec/command"
)

// CommandRate bounds the commands of a client.
type CommandRate struct {
	compactBucket
	rateRefusal
}

// NewCommandRate is for clients that are swept once in each interval swept.
func NewCommandRate(r Rate, swept time.Duration) CommandRate {
	return CommandRate{newCompactBucket(r, swept), tooMany("commands", r)}
}

// EventRate bounds the events of a publisher or a client. The account has the time at
// which the next one is due.
type EventRate struct {
	Bucket
	rateRefusal
}

// NewEventRate bounds events by a rate.
func NewEventRate(r Rate) EventRate { return EventRate{NewBucket(r), tooMany("events", r)} }

// rateRefusal is the text of a refusal, with the rate that is allowed.
type rateRefusal string

// Refuse is the answer to who must wait.
func (r rateRefusal) Refuse(wait time.Duration) *command.Error {
	return &command.Error{Code: command.RateLimited, Message: string(r), RetryAfter: wait}
}

func tooMany(things string, r Rate) rateRefusal {
	if r.Unlimited() {
		return ""
	}
	text := "too many " + things + ": at most " + perTime(r.PerSecond)
	if float64(r.Burst) > max(r.PerSecond, 1) {
		text += fmt.Sprintf(", %d at once", r.Burst)
	}
	return rateRefusal(text)
}

// perTime writes a rate with the shortest time in which it is a whole number.
func perTime(perSecond float64) string {
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{" a second", 1}, {" a minute", 60}, {" an hour", 3600}} {
		if n := math.Round(perSecond*unit.seconds*1e6) / 1e6; n >= 1 && n == math.Round(n) {
			return strconv.FormatInt(int64(n), 10) + unit.name
		}
	}
	return strconv.FormatFloat(perSecond, 'g', 3, 64) + " a second"
}
