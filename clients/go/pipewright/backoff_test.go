package pipewright

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestPausesGrowToTheirBoundAndStartOver(t *testing.T) {
	var pauses pauses
	for _, full := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000} {
		full *= time.Millisecond
		if pause := pauses.next(); pause < full/2 || pause > full {
			t.Errorf("%v is not between the half of %v and all of it", pause, full)
		}
	}
	pauses.startOver()
	if pause := pauses.next(); pause > firstPause {
		t.Errorf("%v after a success", pause)
	}
}

func TestPausesDifferByChance(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 10 {
		seen[new(pauses).next()] = true
	}
	if len(seen) < 2 {
		t.Error("clients that lost the same service return as one")
	}
}

func TestAPauseIsOverWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := sleep(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
}
