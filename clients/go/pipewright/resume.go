package pipewright

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// errOver ends a resumption without an error.
	errOver = errors.New("nothing more is wanted")
	// The others are reasons to resume with another stream.
	errSilent = newError(status.New(codes.Unavailable, "the service has gone silent"), nil)
	errGap    = newError(status.New(codes.Unavailable, "a part of the stream is missing"), nil)
	errNoEnd  = newError(status.New(codes.Unavailable, "the stream ended before its end"), nil)
	// errClosed ends everything once the client is closed.
	errClosed = newError(status.New(codes.Canceled, "the client is closed"), nil)
)

// resumption is the common part of a watch and a log: they resume with as many streams as
// necessary.
type resumption struct {
	client  *Client
	isFinal func(codes.Code) bool
	pauses  pauses
	isHeard bool
}

// isFinal reports whether a stream that ended with this code must not be resumed, by its contract.
func isFinal(code codes.Code) bool {
	switch code {
	case codes.NotFound, codes.PermissionDenied, codes.Unauthenticated,
		codes.InvalidArgument, codes.Unimplemented:
		return true
	}
	return false
}

// run opens one stream after the other until one is over or fails finally. If the service
// never sent a message, the number of tries is limited.
func (r *resumption) run(ctx context.Context, stream func(context.Context) error) error {
	for failures := 1; ; failures++ {
		err := stream(ctx)
		switch {
		case err == errOver:
			return nil
		case r.client.isClosed():
			return errClosed
		case r.isFinal(codeOf(err)), !r.isHeard && failures == maxTries:
			return err
		}
		if err := r.client.pause(ctx, r.pauses.after(err)); err != nil {
			return err
		}
	}
}

// heard records a message of the service.
func (r *resumption) heard() {
	r.isHeard = true
	r.pauses.startOver()
}

// receive opens a stream and passes its messages to accept until accept, the stream or the
// patience ends. The error is io.EOF if the stream ended with OK. The time that the caller
// takes for a message does not count as silence of the service.
func receive[Message any](
	ctx context.Context, patience time.Duration,
	open func(context.Context) (grpc.ServerStreamingClient[Message], error),
	accept func(*Message) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer timer.Stop()
	stream, err := open(ctx)
	for err == nil {
		var message *Message
		if message, err = stream.Recv(); err != nil {
			break
		}
		timer.Stop()
		if err := accept(message); err != nil {
			return err
		}
		timer.Reset(patience)
	}
	if context.Cause(ctx) == error(errSilent) {
		return errSilent
	}
	return err
}
