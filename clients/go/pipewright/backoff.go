package pipewright

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxTries is how often a call is made that fails as the service is unavailable.
	maxTries     = 5
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// pauses go from 100 ms, doubled, up to 5 s. Each is shortened by up to a half at random, so
// that clients that lost the same service do not return as one.
type pauses struct {
	last time.Duration
}

func (p *pauses) next() time.Duration {
	p.last = min(max(2*p.last, firstPause), longestPause)
	return p.last - rand.N(p.last/2+1)
}

// startOver follows a success.
func (p *pauses) startOver() {
	p.last = 0
}

// after is the pause after an error: no shorter than the service asks for.
func (p *pauses) after(err error) time.Duration {
	pause := p.next()
	if failed, isTyped := errors.AsType[*Error](err); isTyped {
		pause = max(pause, failed.RetryDelay)
	}
	return pause
}

// sleep waits for a pause, or fails with an [*Error] as the context ends.
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
