package pipewright

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
)

// slowly is a stream whose messages arrive after these waits, and then nothing.
type slowly struct {
	grpc.ClientStream
	ctx   context.Context
	waits []time.Duration
}

func (s *slowly) Recv() (*time.Duration, error) {
	if len(s.waits) == 0 {
		return nil, io.EOF
	}
	wait := s.waits[0]
	s.waits = s.waits[1:]
	return &wait, sleep(s.ctx, wait)
}

// receiveSlowly returns how long it takes, on a fake clock, to receive messages that arrive
// after these waits, with a reader that needs this time for each.
func receiveSlowly(t *testing.T, reader time.Duration, waits ...time.Duration) (took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		open := func(ctx context.Context) (grpc.ServerStreamingClient[time.Duration], error) {
			return &slowly{ctx: ctx, waits: waits}, nil
		}
		accept := func(*time.Duration) error { return sleep(t.Context(), reader) }
		err = receive(t.Context(), time.Minute, open, accept)
		took = time.Since(start)
	})
	return took, err
}

func TestSilenceIsCountedFromTheLastMessage(t *testing.T) {
	took, err := receiveSlowly(t, 0, 40*time.Second, 40*time.Second, time.Hour)
	if err != error(errSilent) || took != 140*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestSilenceIsCountedFromTheStart(t *testing.T) {
	took, err := receiveSlowly(t, 0, time.Hour)
	if err != error(errSilent) || took != time.Minute {
		t.Errorf("%v after %v", err, took)
	}
}

func TestASlowReaderIsNotASilentService(t *testing.T) {
	took, err := receiveSlowly(t, time.Hour, time.Second, time.Second)
	if err != io.EOF || took != 2*time.Hour+2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestTheOpeningOfAStreamIsNotWaitedForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(ctx context.Context) (grpc.ServerStreamingClient[time.Duration], error) {
			<-ctx.Done()
			return nil, endOf(ctx)
		}
		if err := receive(t.Context(), time.Minute, open, nil); err != error(errSilent) {
			t.Error(err)
		}
	})
}
