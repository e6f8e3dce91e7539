package pipewright

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxTries limits the tries of a call while the service is unavailable.
	maxTries     = 5
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// pauses go from 100 ms, doubled, up to 5 s. Each is shortened by up to a half at random, so
// that clients that lost the same service do not all reconnect at the same time.
type pauses struct {
	last time.Duration
}

func (p *pauses) next() time.Duration {
	p.last = min(max(2*p.last, firstPause), longestPause)
	return p.last - rand.N(p.last/2+1)
}

// startOver resets the pauses after a success.
func (p *pauses) startOver() {
	p.last = 0
}

// after returns the pause after an error, at least as long as the service requests.
func (p *pauses) after(err error) time.Duration {
	pause := p.next()
	if failed, isTyped := errors.AsType[*Error](err); isTyped {
		pause = max(pause, failed.RetryDelay)
	}
	return pause
}

// sleep waits for a pause, or fails with an [*Error] when the context ends.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return endOf(ctx)
	}
}
