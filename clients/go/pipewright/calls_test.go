package pipewright

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	runnerv1 "github.com/pipewright/pipewright/clients/go/pipewright/runner/v1"
	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

var errUnavailable = status.Error(codes.Unavailable, "the service is elsewhere")

func TestAnUnavailableServiceIsCalledFiveTimesWithOneRequestID(t *testing.T) {
	service := serve(t)
	service.answer = always(nil, errUnavailable)
	client, pauses := service.client(t)
	request := &pipewrightv1.TriggerPipelineRequest{PipelineId: "p"}
	_, err := client.Pipelines.TriggerPipeline(t.Context(), request)
	if err == nil || err.Error() != "Unavailable: the service is elsewhere" {
		t.Error(err)
	}
	if !proto.Equal(request, &pipewrightv1.TriggerPipelineRequest{PipelineId: "p"}) {
		t.Errorf("the caller's request was changed: %v", request)
	}
	calls := service.received()
	if len(calls) != 5 {
		t.Fatalf("%d tries", len(calls))
	}
	first := calls[0].request.(*pipewrightv1.TriggerPipelineRequest)
	if !uuid4.MatchString(first.RequestId) || first.PipelineId != "p" {
		t.Errorf("%v", first)
	}
	for _, call := range calls {
		if !proto.Equal(call.request, first) {
			t.Errorf("%v, then %v", first, call.request)
		}
	}
	pauses.check(t, firstPause, 2*firstPause, 4*firstPause, 8*firstPause)
}

func TestACallThatSucceedsOnRetryReturnsItsResponse(t *testing.T) {
	service := serve(t)
	service.answer = func(_ context.Context, number int, _ proto.Message) (proto.Message, error) {
		if number < 5 {
			return nil, errUnavailable
		}
		return &pipewrightv1.GetJobResponse{Job: &pipewrightv1.Job{Id: "j"}}, nil
	}
	client, _ := service.client(t)
	response, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{JobId: "j"})
	if err != nil || response.GetJob().GetId() != "j" {
		t.Errorf("%v, %v", response, err)
	}
}

func TestEachCallHasARequestIDOfItsOwn(t *testing.T) {
	service := serve(t)
	service.answer = always(&pipewrightv1.RetryJobResponse{}, nil)
	client, _ := service.client(t)
	for range 2 {
		if _, err := client.Jobs.RetryJob(t.Context(), &pipewrightv1.RetryJobRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	calls := service.received()
	one := calls[0].request.(*pipewrightv1.RetryJobRequest).RequestId
	other := calls[1].request.(*pipewrightv1.RetryJobRequest).RequestId
	if one == other || !uuid4.MatchString(one) || !uuid4.MatchString(other) {
		t.Errorf("%q, %q", one, other)
	}
}

func TestASetRequestIDAndAValidationAreSentUnchanged(t *testing.T) {
	service := serve(t)
	service.answer = always(&pipewrightv1.CreatePipelineResponse{}, nil)
	client, _ := service.client(t)
	for _, request := range []*pipewrightv1.CreatePipelineRequest{
		{RequestId: "mine"}, {ValidateOnly: true},
	} {
		if _, err := client.Pipelines.CreatePipeline(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if calls := service.received(); !proto.Equal(calls[len(calls)-1].request, request) {
			t.Errorf("%v, not %v", calls[len(calls)-1].request, request)
		}
	}
}

func TestOtherErrorsAreNotRetried(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.Unknown, codes.Canceled,
	} {
		service := serve(t)
		service.answer = always(nil, status.Error(code, "no"))
		client, _ := service.client(t)
		_, err := client.Runners.DrainRunner(t.Context(), &pipewrightv1.DrainRunnerRequest{})
		if calls := len(service.received()); status.Code(err) != code || calls != 1 {
			t.Errorf("%v: %v after %d calls", code, err, calls)
		}
	}
}

func TestCallsOfARunnerAreNeitherLimitedRepeatedNorChanged(t *testing.T) {
	service := serve(t)
	isLimited := false
	service.answer = func(ctx context.Context, _ int, _ proto.Message) (proto.Message, error) {
		_, isLimited = ctx.Deadline()
		return nil, errUnavailable
	}
	client, _ := service.client(t)
	request := &runnerv1.AcquireLeaseRequest{RunnerId: "r"}
	_, err := client.Leases.AcquireLease(t.Context(), request)
	calls := service.received()
	if codeOf(err) != codes.Unavailable || len(calls) != 1 || !proto.Equal(calls[0].request, request) {
		t.Errorf("%v, %v", err, calls)
	}
	if isLimited {
		t.Error("the service may hold it for longer than the limit")
	}
}

func TestACallWhoseConnectionIsCutIsRetried(t *testing.T) {
	service := serve(t)
	service.answer = func(_ context.Context, number int, _ proto.Message) (proto.Message, error) {
		if number == 1 {
			service.cut()
		}
		return &pipewrightv1.CancelJobResponse{}, nil
	}
	client, _ := service.client(t)
	_, err := client.Jobs.CancelJob(t.Context(), &pipewrightv1.CancelJobRequest{JobId: "j"})
	if calls := len(service.received()); err != nil || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// headersSeen signals that the client has the headers of a response.
type headersSeen chan struct{}

func (headersSeen) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (headersSeen) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (headersSeen) HandleConn(context.Context, stats.ConnStats)                       {}
func (seen headersSeen) HandleRPC(_ context.Context, event stats.RPCStats) {
	if _, isHeader := event.(*stats.InHeader); isHeader {
		seen <- struct{}{}
	}
}

func TestACallWhoseConnectionIsCutWithinTheResponseIsRetriedWithItsRequestID(t *testing.T) {
	service := serve(t)
	seen := make(headersSeen, 2)
	service.answer = func(ctx context.Context, number int, _ proto.Message) (proto.Message, error) {
		if number == 1 {
			if err := grpc.SendHeader(ctx, nil); err != nil {
				return nil, err
			}
			<-seen
			service.cut()
		}
		return &pipewrightv1.CreatePipelineResponse{}, nil
	}
	client, _ := service.client(t, WithDialOptions(grpc.WithStatsHandler(seen)))
	// More than gRPC itself would buffer for a retry.
	request := &pipewrightv1.CreatePipelineRequest{
		Pipeline: &pipewrightv1.Pipeline{Name: strings.Repeat("n", 1024*1024)},
	}
	if _, err := client.Pipelines.CreatePipeline(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	calls := service.received()
	if len(calls) != 2 || !proto.Equal(calls[0].request, calls[1].request) {
		t.Errorf("%d calls", len(calls))
	}
}

func TestAPauseIsAsLongAsTheServiceAsksFor(t *testing.T) {
	busy, err := status.New(codes.Unavailable, "busy").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	service := serve(t)
	service.answer = always(nil, busy.Err())
	client, pauses := service.client(t, WithTimeout(time.Hour))
	_, err = client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	if codeOf(err) != codes.Unavailable {
		t.Error(err)
	}
	if want := slices.Repeat([]time.Duration{time.Minute}, 4); !slices.Equal(*pauses, want) {
		t.Error(*pauses)
	}
}

func TestARestartedServiceIsReconnected(t *testing.T) {
	t.Parallel()
	service := serve(t)
	service.answer = always(&pipewrightv1.GetJobResponse{}, nil)
	service.isDown.Store(true)
	client := service.patientClient(t)
	client.sleep = func(ctx context.Context, pause time.Duration) error {
		service.isDown.Store(false)
		return sleep(ctx, pause)
	}
	if _, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTheWaitForAnAbsentServiceIsShort(t *testing.T) {
	service := serve(t)
	service.isDown.Store(true)
	client, pauses := service.client(t)
	_, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	failed, isTyped := errors.AsType[*Error](err)
	if !isTyped || failed.Code != codes.Unavailable || failed.Reason != "" {
		t.Error(err)
	}
	pauses.check(t, firstPause, 2*firstPause, 4*firstPause, 8*firstPause)
}

// limit returns the deadline that the service received for a call.
func limit(t *testing.T, ctx context.Context, options ...Option) time.Duration {
	t.Helper()
	service := serve(t)
	var left time.Duration
	service.answer = func(ctx context.Context, _ int, _ proto.Message) (proto.Message, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return &pipewrightv1.ListJobsResponse{}, nil
	}
	client, _ := service.client(t, options...)
	if _, err := client.Jobs.ListJobs(ctx, &pipewrightv1.ListJobsRequest{}); err != nil {
		t.Fatal(err)
	}
	return left.Round(10 * time.Second)
}

func TestCallsHaveATimeLimit(t *testing.T) {
	own, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if limit := limit(t, t.Context()); limit != 30*time.Second {
		t.Errorf("%v unless set", limit)
	}
	if limit := limit(t, t.Context(), WithTimeout(time.Minute)); limit != time.Minute {
		t.Errorf("%v where a minute is set", limit)
	}
	if limit := limit(t, own, WithTimeout(time.Minute)); limit != time.Hour {
		t.Errorf("%v where the caller says an hour", limit)
	}
	if _, err := Connect("127.0.0.1:1", WithTimeout(0)); err == nil {
		t.Error("a limit of nothing is taken")
	}
}

func TestACallThatTakesTooLongFails(t *testing.T) {
	service := serve(t)
	service.answer = func(ctx context.Context, _ int, _ proto.Message) (proto.Message, error) {
		<-ctx.Done()
		// The error of a service that notices first.
		return nil, status.Error(codes.Canceled, "Timeout expired")
	}
	client, _ := service.client(t, WithTimeout(50*time.Millisecond))
	_, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	if codeOf(err) != codes.DeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestThePausesAreWithinTheTimeLimit(t *testing.T) {
	service := serve(t)
	service.answer = always(nil, errUnavailable)
	client := service.patientClient(t, WithTimeout(50*time.Millisecond))
	client.sleep = func(ctx context.Context, _ time.Duration) error { return sleep(ctx, time.Hour) }
	_, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestTheErrorOfACancelledCallWrapsTheCallersError(t *testing.T) {
	service := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	service.answer = func(ctx context.Context, _ int, _ proto.Message) (proto.Message, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, _ := service.client(t)
	_, err := client.Jobs.GetJob(ctx, &pipewrightv1.GetJobRequest{})
	if codeOf(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
