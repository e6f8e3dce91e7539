package pipewright

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// refused returns the error of a call that the service refuses with these details.
func refused(t *testing.T, code codes.Code, details ...*anypb.Any) *Error {
	t.Helper()
	service := serve(t)
	service.answer = always(nil, status.FromProto(&spb.Status{
		Code: int32(code), Message: "it is not so", Details: details,
	}).Err())
	client, _ := service.client(t)
	_, err := client.Pipelines.UpdatePipeline(t.Context(), &pipewrightv1.UpdatePipelineRequest{})
	failed, isTyped := errors.AsType[*Error](err)
	if !isTyped {
		t.Fatalf("%T", err)
	}
	if failed.Code != code || failed.Message != "it is not so" {
		t.Errorf("%v", failed)
	}
	return failed
}

func detail(t *testing.T, message proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func errorInfo(t *testing.T) *anypb.Any {
	return detail(t, &errdetails.ErrorInfo{
		Reason: "ETAG_MISMATCH", Domain: "pipewright", Metadata: map[string]string{"etag": "a-1"},
	})
}

func TestAnErrorHasTheFieldsOfTheService(t *testing.T) {
	violations := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "pipeline.name", Description: "is required"}, {Field: "pipeline.stages"},
	}}
	retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)}
	failed := refused(t, codes.Aborted, errorInfo(t), detail(t, violations), detail(t, retry))
	if failed.Reason != "ETAG_MISMATCH" || failed.Domain != "pipewright" ||
		!maps.Equal(failed.Metadata, map[string]string{"etag": "a-1"}) {
		t.Errorf("%+v", failed)
	}
	want := []FieldViolation{{"pipeline.name", "is required"}, {"pipeline.stages", ""}}
	if !slices.Equal(failed.FieldViolations, want) {
		t.Errorf("%+v", failed.FieldViolations)
	}
	if failed.RetryDelay != 1500*time.Millisecond {
		t.Error(failed.RetryDelay)
	}
	if failed.Error() != "Aborted: it is not so (ETAG_MISMATCH)" {
		t.Error(failed)
	}
	if told, isStatus := status.FromError(failed); !isStatus || len(told.Details()) != 3 {
		t.Errorf("the status is %v", told)
	}
}

func TestAnErrorWithoutDetailsHasNone(t *testing.T) {
	failed := refused(t, codes.Internal)
	if failed.Reason+failed.Domain != "" || len(failed.Metadata)+len(failed.FieldViolations) != 0 ||
		failed.RetryDelay != 0 || failed.Unwrap() != nil {
		t.Errorf("%+v", failed)
	}
	if failed.Error() != "Internal: it is not so" {
		t.Error(failed)
	}
}

func TestBrokenDetailsHideNeitherTheStatusNorTheOthers(t *testing.T) {
	broken := errorInfo(t)
	broken.Value = []byte{0xff}
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/no.such.Message", Value: []byte("?")}
	failed := refused(t, codes.NotFound, broken, unknown, &anypb.Any{}, errorInfo(t))
	if failed.Reason != "ETAG_MISMATCH" {
		t.Errorf("%+v", failed)
	}
	if failed := refused(t, codes.NotFound, broken); failed.Reason != "" {
		t.Errorf("%+v", failed)
	}
}

func TestADeadlineOfTheServiceIsNotTheCallers(t *testing.T) {
	for _, code := range []codes.Code{codes.DeadlineExceeded, codes.Canceled} {
		err := error(refused(t, code))
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestStreamsFailWithTheSameError(t *testing.T) {
	service := serve(t)
	service.watches = []stream[pipewrightv1.WatchJobResponse]{
		{end: status.FromProto(&spb.Status{
			Code: int32(codes.NotFound), Details: []*anypb.Any{errorInfo(t)},
		}).Err()},
	}
	client, _ := service.client(t)
	opened, err := client.Jobs.WatchJob(t.Context(), &pipewrightv1.WatchJobRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = opened.Recv()
	failed, isTyped := errors.AsType[*Error](err)
	if !isTyped || failed.Code != codes.NotFound || failed.Reason != "ETAG_MISMATCH" {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Jobs.WatchJob(ended, &pipewrightv1.WatchJobRequest{})
	if codeOf(err) != codes.Canceled || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// overdue is a context whose deadline has passed although its timer has not fired.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestTheContextDecidesTheErrorOfAnEndedCall(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late := overdue{t.Context()}
	for _, test := range []struct {
		ctx        context.Context
		told, want codes.Code
	}{
		{ended, codes.Canceled, codes.Canceled},
		{ended, codes.DeadlineExceeded, codes.Canceled},
		{late, codes.Canceled, codes.DeadlineExceeded},
		{late, codes.NotFound, codes.NotFound},
		{t.Context(), codes.DeadlineExceeded, codes.DeadlineExceeded},
	} {
		if err := typed(test.ctx, status.Error(test.told, "told")); codeOf(err) != test.want {
			t.Errorf("%v told as %v is %v", test.want, test.told, err)
		}
	}
}
