package pipewright

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

type watchStream = stream[pipewrightv1.WatchJobResponse]

func job(sequence int64, state pipewrightv1.Job_State) *pipewrightv1.Job {
	return &pipewrightv1.Job{Id: "j", State: state, LastSequence: sequence}
}

func snapshot(sequence int64, state pipewrightv1.Job_State) *pipewrightv1.WatchJobResponse {
	return &pipewrightv1.WatchJobResponse{Payload: &pipewrightv1.WatchJobResponse_Snapshot{
		Snapshot: &pipewrightv1.JobSnapshot{Job: job(sequence, state)},
	}}
}

func running(sequence int64) *pipewrightv1.WatchJobResponse {
	return snapshot(sequence, pipewrightv1.Job_STATE_RUNNING)
}

// events returns a batch of events without a known change, like those of a later version.
func events(sequences ...int64) *pipewrightv1.WatchJobResponse {
	batch := &pipewrightv1.JobEventBatch{}
	for _, sequence := range sequences {
		batch.Events = append(batch.Events, &pipewrightv1.JobEvent{Sequence: sequence})
	}
	return &pipewrightv1.WatchJobResponse{
		Payload: &pipewrightv1.WatchJobResponse_Events{Events: batch},
	}
}

// ended returns a batch whose last event is the job's last.
func ended(sequences ...int64) *pipewrightv1.WatchJobResponse {
	message := events(sequences...)
	last := message.GetEvents().Events[len(sequences)-1]
	last.Change = &pipewrightv1.JobEvent_JobEnded{JobEnded: &pipewrightv1.JobEnded{
		Job: job(last.Sequence, pipewrightv1.Job_STATE_FAILED),
	}}
	return message
}

func jobHeartbeat(sequence int64) *pipewrightv1.WatchJobResponse {
	return &pipewrightv1.WatchJobResponse{Payload: &pipewrightv1.WatchJobResponse_Heartbeat{
		Heartbeat: &pipewrightv1.JobHeartbeat{LastSequence: sequence},
	}}
}

// ofTheFuture adds a payload to a message that this client does not know.
func ofTheFuture[Message proto.Message](message Message) Message {
	payload := protowire.AppendTag(nil, 1000, protowire.BytesType)
	message.ProtoReflect().SetUnknown(protowire.AppendString(payload, "news"))
	return message
}

func sent(messages ...*pipewrightv1.WatchJobResponse) watchStream {
	return watchStream{messages: messages, end: errUnavailable}
}

func sentWell(messages ...*pipewrightv1.WatchJobResponse) watchStream {
	return watchStream{messages: messages}
}

// shown returns an update, abbreviated.
func shown(update *JobUpdate) string {
	kind := "event"
	if update.Snapshot != nil {
		kind = "snapshot"
	}
	if (update.Event == nil) == (update.Snapshot == nil) {
		kind = "not one of both"
	}
	text := fmt.Sprintf("%s %d", kind, update.Sequence)
	if update.Ended != nil {
		text += fmt.Sprintf(" ended as %v", update.Ended.State)
	}
	return text
}

// watchAll returns all updates of a watch.
func watchAll(t *testing.T, client *Client, options ...WatchOption) (updates []string, failure error) {
	t.Helper()
	for update, err := range client.WatchJob(t.Context(), "j", options...) {
		switch {
		case failure != nil:
			t.Errorf("%v, %v after an error", update, err)
		case err != nil:
			failure = err
		default:
			updates = append(updates, shown(update))
		}
	}
	return updates, failure
}

// cursors returns the sequences from which the client resumed.
func (f *fake) cursors() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var cursors []string
	for _, request := range f.watched {
		if request.LastSeenSequence == nil {
			cursors = append(cursors, "snapshot")
		} else {
			cursors = append(cursors, fmt.Sprint(*request.LastSeenSequence))
		}
	}
	return cursors
}

func TestWatchesGiveEachEventOnce(t *testing.T) {
	const last = " ended as STATE_FAILED"
	for name, test := range map[string]struct {
		options []WatchOption
		streams []watchStream
		got     *pipewrightv1.Job // The response of GetJob.
		want    []string
		cursors []string
	}{
		"from a snapshot": {
			streams: []watchStream{sentWell(running(2), events(3, 4), ended(5))},
			want:    []string{"snapshot 2", "event 3", "event 4", "event 5" + last},
			cursors: []string{"snapshot"},
		},
		"from the first event": {
			options: []WatchOption{After(0)},
			streams: []watchStream{sentWell(ended(1, 2))},
			want:    []string{"event 1", "event 2" + last},
			cursors: []string{"0"},
		},
		"an ended job": {
			streams: []watchStream{sentWell(snapshot(9, pipewrightv1.Job_STATE_CANCELLED))},
			want:    []string{"snapshot 9 ended as STATE_CANCELLED"},
			cursors: []string{"snapshot"},
		},
		"nothing comes after the end": {
			options: []WatchOption{After(0)},
			streams: []watchStream{sent(ended(1), events(2))},
			want:    []string{"event 1" + last},
			cursors: []string{"0"},
		},
		"it resumes from a snapshot and from an event": {
			streams: []watchStream{sent(running(2)), sent(events(3, 4)), sentWell(ended(5))},
			want:    []string{"snapshot 2", "event 3", "event 4", "event 5" + last},
			cursors: []string{"snapshot", "2", "4"},
		},
		"it resumes from its start": {
			options: []WatchOption{After(7)},
			streams: []watchStream{sent(), sent(jobHeartbeat(7)), sentWell(ended(8))},
			want:    []string{"event 8" + last},
			cursors: []string{"7", "7", "7"},
		},
		"repeats are dropped": {
			options: []WatchOption{After(2)},
			streams: []watchStream{sentWell(events(1, 2, 3), events(3), events(2, 3, 4), ended(5))},
			want:    []string{"event 3", "event 4", "event 5" + last},
			cursors: []string{"2"},
		},
		"a gap between batches": {
			options: []WatchOption{After(0)},
			streams: []watchStream{sentWell(events(1), ended(3)), sentWell(ended(2, 3))},
			want:    []string{"event 1", "event 2", "event 3" + last},
			cursors: []string{"0", "1"},
		},
		"a gap within a batch": {
			options: []WatchOption{After(0)},
			streams: []watchStream{sentWell(ended(1, 2, 4)), sentWell(ended(3, 4))},
			want:    []string{"event 1", "event 2", "event 3", "event 4" + last},
			cursors: []string{"0", "2"},
		},
		"a gap shown by a heartbeat": {
			options: []WatchOption{After(0)},
			streams: []watchStream{sentWell(events(1), jobHeartbeat(2), ended(2)), sentWell(ended(2))},
			want:    []string{"event 1", "event 2" + last},
			cursors: []string{"0", "1"},
		},
		"a snapshot forwards": {
			options: []WatchOption{After(1)},
			streams: []watchStream{sent(running(8), events(9)), sentWell(ended(10))},
			want:    []string{"snapshot 8", "event 9", "event 10" + last},
			cursors: []string{"1", "9"},
		},
		"a snapshot backwards": {
			options: []WatchOption{After(9)},
			streams: []watchStream{sent(running(2)), sentWell(ended(3))},
			want:    []string{"snapshot 2", "event 3" + last},
			cursors: []string{"9", "2"},
		},
		"a payload of the future": {
			options: []WatchOption{After(0)},
			streams: []watchStream{
				sentWell(ofTheFuture(&pipewrightv1.WatchJobResponse{}), ended(1)),
			},
			want:    []string{"event 1" + last},
			cursors: []string{"0"},
		},
		"no end, but the job has ended": {
			options: []WatchOption{After(3)},
			streams: []watchStream{sentWell()},
			got:     job(3, pipewrightv1.Job_STATE_SUCCEEDED),
			want:    []string{"snapshot 3 ended as STATE_SUCCEEDED"},
			cursors: []string{"3"},
		},
		"no end, and the job has not ended": {
			options: []WatchOption{After(2)},
			streams: []watchStream{sentWell(events(3)), sentWell(ended(4))},
			got:     job(3, pipewrightv1.Job_STATE_CANCELLING),
			want:    []string{"event 3", "event 4" + last},
			cursors: []string{"2", "3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			service := serve(t)
			service.watches = test.streams
			service.answer = always(&pipewrightv1.GetJobResponse{Job: test.got}, nil)
			client, _ := service.client(t)
			updates, err := watchAll(t, client, test.options...)
			if err != nil || !slices.Equal(updates, test.want) {
				t.Errorf("%q, %v; want %q", updates, err, test.want)
			}
			if cursors := service.cursors(); !slices.Equal(cursors, test.cursors) {
				t.Errorf("watched from %q, not from %q", cursors, test.cursors)
			}
			if asked := len(service.received()) > 0; asked != (test.got != nil) {
				t.Errorf("GetJob was called: %v", asked)
			}
		})
	}
}

func TestAWatchReturnsWhatTheServiceSent(t *testing.T) {
	service := serve(t)
	service.watches = []watchStream{sentWell(running(1), ended(2))}
	client, _ := service.client(t)
	var updates []*JobUpdate
	for update, err := range client.WatchJob(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, update)
	}
	if len(updates) != 2 || !proto.Equal(updates[0].Snapshot, running(1).GetSnapshot()) ||
		!proto.Equal(updates[1].Event, ended(2).GetEvents().Events[0]) ||
		!proto.Equal(updates[1].Ended, job(2, pipewrightv1.Job_STATE_FAILED)) {
		t.Errorf("%v", updates)
	}
}

func TestAWatchSurvivesTemporaryErrors(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Unavailable, codes.Internal, codes.Canceled, codes.Unknown, codes.DeadlineExceeded,
		codes.ResourceExhausted, codes.Aborted, codes.OutOfRange, codes.DataLoss,
	} {
		service := serve(t)
		service.watches = []watchStream{
			{end: status.Error(code, "passing"), messages: sent(running(1)).messages},
			{end: status.Error(code, "passing")},
			sentWell(ended(2)),
		}
		client, _ := service.client(t)
		if updates, err := watchAll(t, client); err != nil || len(updates) != 2 {
			t.Errorf("%v: %q, %v", code, updates, err)
		}
	}
}

func TestAWatchEndsWithAFinalError(t *testing.T) {
	for _, code := range []codes.Code{
		codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument,
		codes.Unimplemented,
	} {
		service := serve(t)
		service.watches = []watchStream{sent(running(1)), {end: status.Error(code, "final")}}
		client, _ := service.client(t)
		updates, err := watchAll(t, client)
		if codeOf(err) != code || len(updates) != 1 || len(service.cursors()) != 2 {
			t.Errorf("%v: %q, %v", code, updates, err)
		}
	}
}

func TestAWatchEndsWithAFinalErrorOfGetJob(t *testing.T) {
	service := serve(t)
	service.watches = []watchStream{sentWell(running(1))}
	service.answer = always(nil, status.Error(codes.NotFound, "it has expired"))
	client, _ := service.client(t)
	if _, err := watchAll(t, client); codeOf(err) != codes.NotFound {
		t.Error(err)
	}
}

func TestAServiceThatNeverSentAMessageIsWatchedFiveTimes(t *testing.T) {
	service := serve(t)
	service.watches = slices.Repeat([]watchStream{{end: status.Error(codes.Internal, "broken")}}, 6)
	client, pauses := service.client(t)
	updates, err := watchAll(t, client)
	if codeOf(err) != codes.Internal || updates != nil || len(service.cursors()) != 5 {
		t.Errorf("%q, %v after %q", updates, err, service.cursors())
	}
	pauses.check(t, firstPause, 2*firstPause, 4*firstPause, 8*firstPause)
}

func TestAServiceThatHasSentAMessageIsRetriedWithoutLimit(t *testing.T) {
	service := serve(t)
	failures := slices.Repeat([]watchStream{sent()}, 9)
	service.watches = append([]watchStream{sent(running(1))}, failures...)
	service.watches = append(service.watches, sent(jobHeartbeat(1)), sent(), sentWell(ended(2)))
	client, pauses := service.client(t)
	if _, err := watchAll(t, client); err != nil {
		t.Error(err)
	}
	const ms = time.Millisecond
	pauses.check(t, 100*ms, 200*ms, 400*ms, 800*ms, 1600*ms, 3200*ms, 5000*ms, 5000*ms, 5000*ms,
		5000*ms, 100*ms, 200*ms)
}

func TestAWatchOutlivesItsConnection(t *testing.T) {
	service := serve(t)
	open := sent(running(1), events(2))
	open.isOpen = true
	service.watches = []watchStream{open, sentWell(ended(3))}
	client, _ := service.client(t)
	var updates []string
	for update, err := range client.WatchJob(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		updates = append(updates, shown(update))
		if update.Sequence == 2 {
			service.cut()
		}
	}
	if want := []string{"snapshot 1", "event 2", "event 3 ended as STATE_FAILED"}; !slices.Equal(updates, want) {
		t.Errorf("%q", updates)
	}
	if cursors := service.cursors(); !slices.Equal(cursors, []string{"snapshot", "2"}) {
		t.Errorf("%q", cursors)
	}
}

func TestASilentServiceIsLeftForAnotherStream(t *testing.T) {
	t.Parallel()
	service := serve(t)
	silent := sent(running(1))
	silent.isOpen = true
	service.watches = []watchStream{silent, sentWell(ended(2))}
	client, _ := service.client(t)
	client.heartbeat = 300 * time.Millisecond
	if updates, err := watchAll(t, client); err != nil || len(updates) != 2 {
		t.Errorf("%q, %v", updates, err)
	}
}

func TestAServiceThatIsSilentFromTheStartIsAnError(t *testing.T) {
	t.Parallel()
	service := serve(t)
	service.watches = slices.Repeat([]watchStream{{isOpen: true}}, 6)
	client, _ := service.client(t)
	client.heartbeat = 20 * time.Millisecond
	_, err := watchAll(t, client)
	if err == nil || err.Error() != "Unavailable: the service has gone silent" {
		t.Error(err)
	}
}

func TestTheHeartbeatIntervalIsRequestedAndThreeMayBeMissed(t *testing.T) {
	service := serve(t)
	service.watches = []watchStream{sentWell(ended(1))}
	client, _ := service.client(t)
	if _, err := watchAll(t, client, After(0), HeartbeatInterval(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	service.mu.Lock()
	defer service.mu.Unlock()
	if interval := service.watched[0].HeartbeatInterval.AsDuration(); interval != 2*time.Second {
		t.Error(interval)
	}
	patience := func(options ...WatchOption) time.Duration {
		return newWatch(client, "j", options).patience
	}
	if patience() != 45*time.Second || patience(HeartbeatInterval(2*time.Second)) != 6*time.Second {
		t.Errorf("%v, %v", patience(), patience(HeartbeatInterval(2*time.Second)))
	}
	for interval, want := range map[time.Duration]time.Duration{
		-time.Hour: 3 * time.Second, 0: 3 * time.Second, math.MaxInt64: 3 * time.Minute,
	} {
		if got := patience(HeartbeatInterval(interval)); got != want {
			t.Errorf("the service has %v to refuse %v", got, interval)
		}
	}
}

func TestLeavingAWatchEndsItsCallImmediately(t *testing.T) {
	service := serve(t)
	open := sent(running(1))
	open.isOpen = true
	service.watches = []watchStream{open}
	client, _ := service.client(t)
	for range client.WatchJob(t.Context(), "j") {
		break
	}
	<-service.left
}

func TestTheErrorOfACancelledWatchWrapsTheCallersError(t *testing.T) {
	service := serve(t)
	open := sent(running(1))
	open.isOpen = true
	service.watches = []watchStream{open}
	client, _ := service.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failure error
	for _, err := range client.WatchJob(ctx, "j") {
		cancel()
		failure = err
	}
	if codeOf(failure) != codes.Canceled || !errors.Is(failure, context.Canceled) {
		t.Error(failure)
	}
	<-service.left
}

func TestTheDeadlineOfTheCallerEndsAWatchInItsPause(t *testing.T) {
	service := serve(t)
	service.watches = []watchStream{sent(running(1))}
	client := service.patientClient(t)
	client.sleep = func(ctx context.Context, _ time.Duration) error { return sleep(ctx, time.Hour) }
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var failure error
	for _, err := range client.WatchJob(ctx, "j") {
		failure = err
	}
	if codeOf(failure) != codes.DeadlineExceeded || !errors.Is(failure, context.DeadlineExceeded) {
		t.Error(failure)
	}
}

func TestStreamsHaveNoTimeLimit(t *testing.T) {
	service := serve(t)
	service.watches = []watchStream{sentWell(running(1), ended(2))}
	client, _ := service.client(t, WithTimeout(time.Millisecond))
	for _, err := range client.WatchJob(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if cursors := service.cursors(); len(cursors) != 1 {
		t.Errorf("%q", cursors)
	}
}

func TestClosingTheClientEndsAWatch(t *testing.T) {
	service := serve(t)
	open := sent(running(1))
	open.isOpen = true
	service.watches = []watchStream{open}
	client, _ := service.client(t)
	var failure error
	for _, err := range client.WatchJob(t.Context(), "j") {
		_ = client.Close()
		failure = err
	}
	if failure != error(errClosed) {
		t.Error(failure)
	}
}

func TestClosingTheClientEndsPauses(t *testing.T) {
	service := serve(t)
	service.answer = always(nil, errUnavailable)
	for name, call := range map[string]func(*Client) error{
		"of a call": func(client *Client) error {
			_, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
			return err
		},
		"of a watch": func(client *Client) error {
			_, err := watchAll(t, client)
			return err
		},
	} {
		client, _ := service.client(t)
		client.sleep = func(ctx context.Context, _ time.Duration) error {
			_ = client.Close()
			return sleep(ctx, time.Hour)
		}
		service.watches = []watchStream{sent(running(1))}
		if err := call(client); err != error(errClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCallsOfAClosedClientAreCancelled(t *testing.T) {
	service := serve(t)
	client, _ := service.client(t)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	_, called := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	_, watched := watchAll(t, client)
	_, read := readAll(t, client)
	for _, err := range []error{called, watched, read} {
		if codeOf(err) != codes.Canceled {
			t.Error(err)
		}
	}
}

func TestARequestThatCannotBeSentIsNotRetried(t *testing.T) {
	service := serve(t)
	client, pauses := service.client(t)
	for _, err := range client.WatchJob(t.Context(), "\xff") {
		if codeOf(err) != codes.InvalidArgument {
			t.Error(err)
		}
	}
	pauses.check(t)
}

func TestASecondLoopOverAWatchStartsAgain(t *testing.T) {
	service := serve(t)
	service.watches = slices.Repeat([]watchStream{sentWell(ended(1, 2))}, 2)
	client, _ := service.client(t)
	watch := client.WatchJob(t.Context(), "j", After(0))
	for range 2 {
		for _, err := range watch {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if cursors := service.cursors(); !slices.Equal(cursors, []string{"0", "0"}) {
		t.Errorf("%q", cursors)
	}
}
