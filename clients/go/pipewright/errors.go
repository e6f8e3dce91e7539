package pipewright

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is the error of every failed call of a [Client].
//
//	failed, ok := errors.AsType[*pipewright.Error](err)
//	if ok && failed.Reason == "ETAG_MISMATCH" {
//
// If the caller's own context or the time limit ended the call, [errors.Is] finds
// [context.Canceled] or [context.DeadlineExceeded] in it.
type Error struct {
	// Code is the gRPC code.
	Code codes.Code
	// Message is for people.
	Message string
	// Reason is for programs, such as ETAG_MISMATCH. Empty, like all fields below, if the
	// error is not from the service itself, for example if it was not reached.
	Reason string
	// Domain is the namespace of the reason: "pipewright".
	Domain string
	// Metadata has further facts about the reason, by name.
	Metadata map[string]string
	// FieldViolations lists the invalid fields of the request.
	FieldViolations []FieldViolation
	// RetryDelay is the pause before another try; 0 if the service does not set it.
	RetryDelay time.Duration
	// HTTPStatus is the status of an answer that was not gRPC, as a proxy between the client and
	// the service sends it; 0 otherwise.
	HTTPStatus int

	status *status.Status
	cause  error
}

// FieldViolation describes one invalid field of a request.
type FieldViolation struct {
	// Field is its path, such as "pipeline.stages[0].name".
	Field string
	// Description says what it must be.
	Description string
}

// Error returns the code, the message and the reason in one line.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%v: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%v: %s (%s)", e.Code, e.Message, e.Reason)
}

// GRPCStatus returns the whole status, for [status.FromError].
func (e *Error) GRPCStatus() *status.Status {
	return e.status
}

// Unwrap returns the context's error, if the end of a context was the cause.
func (e *Error) Unwrap() error {
	return e.cause
}

// typed converts the error of a call with ctx to an [*Error]; nil and io.EOF stay unchanged.
func typed(ctx context.Context, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	told := status.Convert(err)
	isOfContext := told.Code() == codes.Canceled || told.Code() == codes.DeadlineExceeded
	// The service may notice first that a context ended, and return an error of its own.
	if end := endOf(ctx); end != nil && isOfContext {
		return end
	}
	if isUnsendable(told) {
		told = status.New(codes.InvalidArgument, told.Message())
	}
	return newError(told, nil)
}

// isUnsendable reports whether the request was never sent, as it has text that is not UTF-8. To the
// library that is INTERNAL, which would be retried.
func isUnsendable(told *status.Status) bool {
	return told.Code() == codes.Internal &&
		strings.HasPrefix(told.Message(), "grpc: error while marshaling")
}

// endOf returns the error of a context that has ended; nil before. It does not wait for the
// timer of the context: the service, which has the same deadline, may be faster.
func endOf(ctx context.Context) error {
	cause := ctx.Err()
	if deadline, isLimited := ctx.Deadline(); isLimited && !time.Now().Before(deadline) {
		cause = context.DeadlineExceeded
	}
	if cause == nil {
		return nil
	}
	return newError(status.FromContextError(cause), cause)
}

func newError(told *status.Status, cause error) *Error {
	failed := &Error{Code: told.Code(), Message: told.Message(), status: told, cause: cause}
	for _, detail := range told.Details() {
		failed.take(detail)
	}
	return failed
}

// take reads a detail. A broken or unknown one is left in the status.
func (e *Error) take(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		e.Reason, e.Domain, e.Metadata = detail.Reason, detail.Domain, detail.Metadata
	case *errdetails.BadRequest:
		for _, violation := range detail.FieldViolations {
			e.FieldViolations = append(e.FieldViolations,
				FieldViolation{Field: violation.Field, Description: violation.Description})
		}
	case *errdetails.RetryInfo:
		e.RetryDelay = detail.RetryDelay.AsDuration()
	}
}

// codeOf returns OK if there is no [*Error] in err.
func codeOf(err error) codes.Code {
	if failed, isTyped := errors.AsType[*Error](err); isTyped {
		return failed.Code
	}
	return codes.OK
}
