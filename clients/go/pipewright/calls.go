package pipewright

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// callUnary makes a call with a time limit, and retries while the service is unavailable.
//
// The retry policy of gRPC is not sufficient: it gives up on a call whose connection is cut
// within the response, does not repeat requests over 256 KiB, and changes the message of the error.
func (c *Client) callUnary(
	ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if isOfRunner(method) {
		return c.typed(ctx, invoke(ctx, method, request, reply, conn, options...))
	}
	if _, isLimited := ctx.Deadline(); !isLimited {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		ctx = limited
	}
	request = withRequestID(request)
	var pauses pauses
	for try := 1; ; try++ {
		err := c.typed(ctx, invoke(ctx, method, request, reply, conn, options...))
		if codeOf(err) != codes.Unavailable || try == maxTries {
			return err
		}
		if err := c.pause(ctx, pauses.after(err)); err != nil {
			return err
		}
	}
}

// isOfRunner reports whether a call is for runners. The service holds some of these on purpose,
// and a lease has rules of its own. All others can be retried: they are reads, idempotent, or
// have a request_id.
func isOfRunner(method string) bool {
	return strings.HasPrefix(method, "/pipewright.runner.")
}

// openStream opens a stream with typed errors.
func (c *Client) openStream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, c.typed(ctx, err)
	}
	return &typedStream{ClientStream: stream, client: c, ctx: ctx}, nil
}

type typedStream struct {
	grpc.ClientStream
	client *Client
	ctx    context.Context
}

// RecvMsg returns io.EOF unchanged: it is not an error.
func (s *typedStream) RecvMsg(message any) error {
	return s.client.typed(s.ctx, s.ClientStream.RecvMsg(message))
}

// SendMsg returns io.EOF unchanged: RecvMsg then returns the error.
func (s *typedStream) SendMsg(message any) error {
	return s.client.typed(s.ctx, s.ClientStream.SendMsg(message))
}
