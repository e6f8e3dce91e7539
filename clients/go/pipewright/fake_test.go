package pipewright

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	runnerv1 "github.com/pipewright/pipewright/clients/go/pipewright/runner/v1"
	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// fake is a service on a port of its own that a test scripts.
type fake struct {
	pipewrightv1.UnimplementedPipelineServiceServer
	pipewrightv1.UnimplementedJobServiceServer
	pipewrightv1.UnimplementedRunnerServiceServer
	pipewrightv1.UnimplementedProjectServiceServer
	pipewrightv1.UnimplementedAdminServiceServer
	runnerv1.UnimplementedLeaseServiceServer

	*fragile
	// answer responds to the unary call of this number, 1 for the first.
	answer func(ctx context.Context, number int, request proto.Message) (proto.Message, error)
	// watches and logs are the streams of WatchJob and ReadStageLog, in order.
	watches []stream[pipewrightv1.WatchJobResponse]
	logs    []stream[pipewrightv1.ReadStageLogResponse]
	// left is closed when the client has left an endless stream.
	left chan struct{}

	mu       sync.Mutex
	calls    []call
	watched  []*pipewrightv1.WatchJobRequest
	read     []*pipewrightv1.ReadStageLogRequest
	released chan struct{}
}

// call is a received unary call.
type call struct {
	method  string
	request proto.Message
	headers metadata.MD
}

// stream has the messages of a stream and its end: OK, unless set otherwise.
type stream[Message any] struct {
	messages []*Message
	end      error
	isOpen   bool
}

func serve(t *testing.T, options ...grpc.ServerOption) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		fragile:  &fragile{Listener: listener},
		left:     make(chan struct{}),
		released: make(chan struct{}),
	}
	server := grpc.NewServer(append(options, grpc.UnaryInterceptor(f.unary))...)
	pipewrightv1.RegisterPipelineServiceServer(server, f)
	pipewrightv1.RegisterJobServiceServer(server, f)
	pipewrightv1.RegisterRunnerServiceServer(server, f)
	pipewrightv1.RegisterProjectServiceServer(server, f)
	pipewrightv1.RegisterAdminServiceServer(server, f)
	runnerv1.RegisterLeaseServiceServer(server, f)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(f.fragile) }()
	t.Cleanup(func() {
		close(f.released)
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fake) address() string {
	return f.Addr().String()
}

// client returns a client whose pauses end immediately.
func (f *fake) client(t *testing.T, options ...Option) (*Client, *pausesMade) {
	t.Helper()
	client := f.patientClient(t, options...)
	made := &pausesMade{}
	client.sleep = made.sleep
	return client, made
}

// patientClient returns a client with real pauses.
func (f *fake) patientClient(t *testing.T, options ...Option) *Client {
	t.Helper()
	client, err := Connect(f.address(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (f *fake) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler,
) (any, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	f.mu.Lock()
	f.calls = append(f.calls, call{info.FullMethod, request.(proto.Message), headers})
	number := len(f.calls)
	f.mu.Unlock()
	return f.answer(ctx, number, request.(proto.Message))
}

// received returns the unary calls so far.
func (f *fake) received() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *fake) WatchJob(
	request *pipewrightv1.WatchJobRequest,
	out grpc.ServerStreamingServer[pipewrightv1.WatchJobResponse],
) error {
	f.mu.Lock()
	f.watched = append(f.watched, request)
	number := len(f.watched)
	f.mu.Unlock()
	return play(f, f.watches, number, out)
}

func (f *fake) ReadStageLog(
	request *pipewrightv1.ReadStageLogRequest,
	out grpc.ServerStreamingServer[pipewrightv1.ReadStageLogResponse],
) error {
	f.mu.Lock()
	f.read = append(f.read, request)
	number := len(f.read)
	f.mu.Unlock()
	return play(f, f.logs, number, out)
}

// play sends the stream of this number. An unscripted one ends with a final error.
func play[Message any](
	f *fake, streams []stream[Message], number int, out grpc.ServerStreamingServer[Message],
) error {
	if number > len(streams) {
		return status.Error(codes.Unimplemented, "there is no such stream in the test")
	}
	stream := streams[number-1]
	for _, message := range stream.messages {
		if err := out.Send(message); err != nil {
			return err
		}
	}
	if !stream.isOpen {
		return stream.end
	}
	select {
	case <-f.released:
	case <-out.Context().Done():
		if number == len(streams) {
			close(f.left)
		}
	}
	return nil
}

// fragile is a listener whose connections can be cut.
type fragile struct {
	net.Listener
	isDown atomic.Bool

	mu          sync.Mutex
	connections []net.Conn
}

func (f *fragile) Accept() (net.Conn, error) {
	for {
		connection, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if f.isDown.Load() {
			_ = connection.Close()
			continue
		}
		f.mu.Lock()
		f.connections = append(f.connections, connection)
		f.mu.Unlock()
		return connection, nil
	}
}

// cut resets all connections.
func (f *fragile) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, connection := range f.connections {
		_ = connection.Close()
	}
	f.connections = nil
}

// pausesMade are the skipped pauses of a client.
type pausesMade []time.Duration

func (p *pausesMade) sleep(ctx context.Context, pause time.Duration) error {
	*p = append(*p, pause)
	return endOf(ctx)
}

// check compares them with their maximum; each may be shortened by a half.
func (p *pausesMade) check(t *testing.T, longest ...time.Duration) {
	t.Helper()
	isShortened := func(pause, full time.Duration) bool { return full/2 <= pause && pause <= full }
	if !slices.EqualFunc(*p, longest, isShortened) {
		t.Errorf("the pauses are %v, of at most %v", *p, longest)
	}
}

// always returns the same response to every call.
func always(
	response proto.Message, err error,
) func(context.Context, int, proto.Message) (proto.Message, error) {
	return func(context.Context, int, proto.Message) (proto.Message, error) { return response, err }
}
