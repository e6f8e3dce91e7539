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
	// Sequence is what the watch has told so far; [After] goes on from there.
	Sequence int64
	// Event is the next change of the job. One of a kind that this client does not know has
	// no Change.
	Event *pipewrightv1.JobEvent
	// Snapshot replaces all that is known of the job.
	Snapshot *pipewrightv1.JobSnapshot
	// Ended is the final job; nil but in the last update.
	Ended *pipewrightv1.Job
}

// WatchOption is a setting of one watch.
type WatchOption func(*pipewrightv1.WatchJobRequest)

// After starts with the event after this one, 0 for all of them. Without it, and where the
// events are no longer kept, a watch starts with a snapshot.
func After(sequence int64) WatchOption {
	return func(request *pipewrightv1.WatchJobRequest) {
		request.LastSeenSequence = proto.Int64(sequence)
	}
}

// HeartbeatInterval is how long the service is silent before it says that nothing happened,
// 1 s to 60 s; 15 s unless set. After three of them the watch makes another connection.
func HeartbeatInterval(interval time.Duration) WatchOption {
	return func(request *pipewrightv1.WatchJobRequest) {
		request.HeartbeatInterval = durationpb.New(interval)
	}
}

// WatchJob gives the updates of a job until it has ended, over as many connections as it
// takes: each event once, in order, without gaps.
//
// An error is an [*Error], and the last that is given. It is NOT_FOUND, PERMISSION_DENIED,
// UNAUTHENTICATED, INVALID_ARGUMENT or UNIMPLEMENTED, or the end of ctx or of the client;
// any other only where the service has never sent a message, and failed five times.
// Everything else is waited for without limit. Leaving the loop cancels the call.
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

// watch is what is known between two streams.
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
		// One that is out of bounds is for the service to refuse, which needs a moment.
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

// accept passes over a payload that it does not know.
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

// tell gives an update to the caller, after which the watch goes on from there.
func (w *watch) tell(update *JobUpdate) error {
	w.request.LastSeenSequence = proto.Int64(update.Sequence)
	if !w.give(update) || update.Ended != nil {
		return errOver
	}
	return nil
}

// confirmEnd follows a stream that says that all was sent. If the end was not among it, the
// job is asked for; if that has not ended either, the stream broke after all.
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
