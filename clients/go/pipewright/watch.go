package pipewright

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// JobUpdate is one step of a watch. Either Event or Snapshot is set.
type JobUpdate struct {
	// Sequence is the position after this update; [After] resumes from there.
	Sequence int64
	// Event is the next change of the job. Its Change is nil if this client does not know the
	// kind.
	Event *pipewrightv1.JobEvent
	// Snapshot replaces the known state of the job.
	Snapshot *pipewrightv1.JobSnapshot
	// Ended is the final job; set only in the last update.
	Ended *pipewrightv1.Job
}

// WatchOption is a setting of one watch.
type WatchOption func(*pipewrightv1.WatchJobRequest)

// After starts with the event after this one, 0 for all of them. Without it, and if the events
// are no longer stored, a watch starts with a snapshot.
func After(sequence int64) WatchOption {
	return func(request *pipewrightv1.WatchJobRequest) {
		request.LastSeenSequence = proto.Int64(sequence)
	}
}

// HeartbeatInterval is the silence after which the service sends a heartbeat, 1 s to 60 s;
// 15 s by default. After three intervals of silence the watch reconnects.
func HeartbeatInterval(interval time.Duration) WatchOption {
	return func(request *pipewrightv1.WatchJobRequest) {
		request.HeartbeatInterval = durationpb.New(interval)
	}
}

// WatchJob returns the updates of a job until it has ended: each event once, in order, without
// gaps. It reconnects as often as necessary.
//
// An error is an [*Error], and the last item. It is NOT_FOUND, PERMISSION_DENIED,
// UNAUTHENTICATED, INVALID_ARGUMENT or UNIMPLEMENTED, or the end of ctx or of the client;
// any other only if the service has never sent a message, and failed five times.
// Everything else is retried without limit. Leaving the loop cancels the call.
func (c *Client) WatchJob(
	ctx context.Context, jobID string, options ...WatchOption,
) iter.Seq2[*JobUpdate, error] {
	return func(yield func(*JobUpdate, error) bool) {
		w := newWatch(c, jobID, options)
		w.give = func(update *JobUpdate) bool { return yield(update, nil) }
		if err := w.run(ctx, w.stream); err != nil {
			yield(nil, err)
		}
	}
}

// watch is the state between two streams.
type watch struct {
	resumption
	request  *pipewrightv1.WatchJobRequest
	patience time.Duration
	give     func(*JobUpdate) bool
}

func newWatch(client *Client, jobID string, options []WatchOption) *watch {
	request := &pipewrightv1.WatchJobRequest{JobId: jobID}
	for _, option := range options {
		option(request)
	}
	heartbeat := client.heartbeat
	if request.HeartbeatInterval != nil {
		// The service refuses an interval that is out of bounds, which takes a moment.
		heartbeat = min(max(request.HeartbeatInterval.AsDuration(), time.Second), time.Minute)
	}
	return &watch{
		resumption: resumption{client: client, isFinal: isFinal},
		request:    request,
		patience:   3 * heartbeat,
	}
}

func (w *watch) stream(ctx context.Context) error {
	err := receive(ctx, w.patience, w.open, w.accept)
	if err == io.EOF {
		return w.confirmEnd(ctx)
	}
	return err
}

func (w *watch) open(
	ctx context.Context,
) (grpc.ServerStreamingClient[pipewrightv1.WatchJobResponse], error) {
	return w.client.Jobs.WatchJob(ctx, w.request)
}

// accept ignores a payload that it does not know.
func (w *watch) accept(message *pipewrightv1.WatchJobResponse) error {
	w.heard()
	switch payload := message.Payload.(type) {
	case *pipewrightv1.WatchJobResponse_Snapshot:
		return w.replace(payload.Snapshot)
	case *pipewrightv1.WatchJobResponse_Events:
		return w.advance(payload.Events.GetEvents())
	case *pipewrightv1.WatchJobResponse_Heartbeat:
		if payload.Heartbeat.GetLastSequence() > w.request.GetLastSeenSequence() {
			return errGap
		}
	}
	return nil
}

func (w *watch) replace(snapshot *pipewrightv1.JobSnapshot) error {
	update := &JobUpdate{Sequence: snapshot.GetJob().GetLastSequence(), Snapshot: snapshot}
	if hasEnded(snapshot.GetJob()) {
		update.Ended = snapshot.GetJob()
	}
	return w.tell(update)
}

func (w *watch) advance(events []*pipewrightv1.JobEvent) error {
	for _, event := range events {
		switch next := w.request.GetLastSeenSequence() + 1; {
		case event.Sequence < next:
			continue
		case event.Sequence > next:
			return errGap
		}
		update := &JobUpdate{
			Sequence: event.Sequence,
			Event:    event,
			Ended:    event.GetJobEnded().GetJob(),
		}
		if err := w.tell(update); err != nil {
			return err
		}
	}
	return nil
}

// tell yields an update to the caller; the watch then continues from there.
func (w *watch) tell(update *JobUpdate) error {
	w.request.LastSeenSequence = proto.Int64(update.Sequence)
	if !w.give(update) || update.Ended != nil {
		return errOver
	}
	return nil
}

// confirmEnd handles a stream that ended with OK. If the end of the job was not sent, it reads
// the job; if that has not ended, the stream counts as broken.
func (w *watch) confirmEnd(ctx context.Context) error {
	request := &pipewrightv1.GetJobRequest{JobId: w.request.JobId}
	response, err := w.client.Jobs.GetJob(ctx, request)
	if err != nil {
		return err
	}
	if !hasEnded(response.GetJob()) {
		return errNoEnd
	}
	return w.replace(&pipewrightv1.JobSnapshot{Job: response.Job})
}

func hasEnded(job *pipewrightv1.Job) bool {
	switch job.GetState() {
	case pipewrightv1.Job_STATE_SUCCEEDED, pipewrightv1.Job_STATE_FAILED,
		pipewrightv1.Job_STATE_CANCELLED:
		return true
	}
	return false
}
