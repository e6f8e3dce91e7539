package pipewright

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

type logStream = stream[pipewrightv1.ReadStageLogResponse]

func chunk(offset int64, text string) *pipewrightv1.ReadStageLogResponse {
	return &pipewrightv1.ReadStageLogResponse{
		Attempt:    2,
		NextOffset: offset + int64(len(text)),
		Payload: &pipewrightv1.ReadStageLogResponse_Chunk{
			Chunk: &pipewrightv1.LogChunk{Offset: offset, Data: []byte(text)},
		},
	}
}

func gap(start, end int64) *pipewrightv1.ReadStageLogResponse {
	return &pipewrightv1.ReadStageLogResponse{
		Attempt:    2,
		NextOffset: end,
		Payload: &pipewrightv1.ReadStageLogResponse_Gap{Gap: &pipewrightv1.LogGap{
			StartOffset: start, EndOffset: end, Reason: pipewrightv1.LogGap_REASON_EXPIRED,
		}},
	}
}

func logHeartbeat(next int64) *pipewrightv1.ReadStageLogResponse {
	return &pipewrightv1.ReadStageLogResponse{
		Attempt:    2,
		NextOffset: next,
		Payload:    &pipewrightv1.ReadStageLogResponse_Heartbeat{Heartbeat: &pipewrightv1.LogHeartbeat{}},
	}
}

func logEnd(next int64) *pipewrightv1.ReadStageLogResponse {
	return &pipewrightv1.ReadStageLogResponse{
		Attempt:    2,
		NextOffset: next,
		Payload: &pipewrightv1.ReadStageLogResponse_End{
			End: &pipewrightv1.LogEnd{SizeBytes: next},
		},
	}
}

func written(messages ...*pipewrightv1.ReadStageLogResponse) logStream {
	return logStream{messages: messages, end: status.Error(codes.Internal, "broken")}
}

func writtenWell(messages ...*pipewrightv1.ReadStageLogResponse) logStream {
	return logStream{messages: messages}
}

// readAll returns all pieces of a log, abbreviated.
func readAll(t *testing.T, client *Client, options ...LogOption) (pieces []string, failure error) {
	t.Helper()
	for piece, err := range client.ReadLog(t.Context(), "j", "s", options...) {
		switch {
		case failure != nil:
			t.Errorf("%v, %v after an error", piece, err)
		case err != nil:
			failure = err
		case piece.Gap == nil:
			pieces = append(pieces, fmt.Sprintf("%d %s", piece.Offset, piece.Data))
		default:
			text := fmt.Sprintf("%d gap %d-%d", piece.Offset, piece.Gap.StartOffset, piece.Gap.EndOffset)
			pieces = append(pieces, text)
		}
	}
	return pieces, failure
}

// asked returns the requested positions in a log.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var asked []string
	for _, request := range f.read {
		asked = append(asked, fmt.Sprintf("attempt %d offset %d limit %d",
			request.Attempt, request.Offset, request.LimitBytes))
	}
	return asked
}

func TestLogsGiveEachByteOnce(t *testing.T) {
	for name, test := range map[string]struct {
		options []LogOption
		streams []logStream
		want    []string
		asked   []string
	}{
		"to the end": {
			streams: []logStream{writtenWell(chunk(0, "one"), logHeartbeat(3), chunk(3, "two"), logEnd(6))},
			want:    []string{"0 one", "3 two"},
			asked:   []string{"attempt 0 offset 0 limit 0"},
		},
		"nothing": {
			streams: []logStream{writtenWell()},
			asked:   []string{"attempt 0 offset 0 limit 0"},
		},
		"with gaps": {
			streams: []logStream{writtenWell(gap(0, 5), chunk(5, "x"), gap(6, 9), logEnd(9))},
			want:    []string{"0 gap 0-5", "5 x", "6 gap 6-9"},
			asked:   []string{"attempt 0 offset 0 limit 0"},
		},
		"it resumes after a chunk, a gap and a heartbeat": {
			streams: []logStream{
				written(chunk(0, "one")), written(gap(3, 5)), written(logHeartbeat(5)),
				writtenWell(chunk(5, "x")),
			},
			want: []string{"0 one", "3 gap 3-5", "5 x"},
			asked: []string{
				"attempt 0 offset 0 limit 0", "attempt 2 offset 3 limit 0",
				"attempt 2 offset 5 limit 0", "attempt 2 offset 5 limit 0",
			},
		},
		"from the end": {
			options: []LogOption{Offset(-3)},
			streams: []logStream{written(), written(chunk(7, "x")), writtenWell(chunk(8, "y"))},
			want:    []string{"7 x", "8 y"},
			asked: []string{
				"attempt 0 offset -3 limit 0", "attempt 0 offset -3 limit 0",
				"attempt 2 offset 8 limit 0",
			},
		},
		"repeats are trimmed": {
			options: []LogOption{Attempt(2), Offset(2)},
			streams: []logStream{
				writtenWell(chunk(0, "ab"), chunk(0, "abcd"), chunk(1, "bcd"), chunk(3, "def")),
			},
			want:  []string{"2 cd", "4 ef"},
			asked: []string{"attempt 2 offset 2 limit 0"},
		},
		"repeated gaps are trimmed": {
			streams: []logStream{writtenWell(gap(0, 5), gap(2, 4), gap(3, 7), logHeartbeat(1), chunk(7, "x"))},
			want:    []string{"0 gap 0-5", "5 gap 5-7", "7 x"},
			asked:   []string{"attempt 0 offset 0 limit 0"},
		},
		"missing bytes": {
			streams: []logStream{writtenWell(chunk(0, "a"), chunk(2, "c")), writtenWell(chunk(1, "bc"))},
			want:    []string{"0 a", "1 bc"},
			asked:   []string{"attempt 0 offset 0 limit 0", "attempt 2 offset 1 limit 0"},
		},
		"missing bytes before a gap": {
			options: []LogOption{Attempt(2)},
			streams: []logStream{writtenWell(gap(1, 2)), writtenWell(chunk(0, "a"), gap(1, 2))},
			want:    []string{"0 a", "1 gap 1-2"},
			asked:   []string{"attempt 2 offset 0 limit 0", "attempt 2 offset 0 limit 0"},
		},
		"a limit counts bytes only": {
			options: []LogOption{LimitBytes(5)},
			streams: []logStream{
				written(chunk(0, "abc"), gap(3, 99)), written(chunk(98, "?d")), writtenWell(chunk(100, "e")),
			},
			want: []string{"0 abc", "3 gap 3-99", "99 d", "100 e"},
			asked: []string{
				"attempt 0 offset 0 limit 5", "attempt 2 offset 99 limit 2",
				"attempt 2 offset 100 limit 1",
			},
		},
		"nothing is asked for once the limit is reached": {
			options: []LogOption{LimitBytes(3)},
			streams: []logStream{written(chunk(0, "abc"))},
			want:    []string{"0 abc"},
			asked:   []string{"attempt 0 offset 0 limit 3"},
		},
		"a payload of the future": {
			streams: []logStream{writtenWell(
				ofTheFuture(&pipewrightv1.ReadStageLogResponse{NextOffset: 4}), chunk(4, "x"),
			)},
			want:  []string{"4 x"},
			asked: []string{"attempt 0 offset 0 limit 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			service := serve(t)
			service.logs = test.streams
			client, _ := service.client(t)
			pieces, err := readAll(t, client, test.options...)
			if err != nil || !slices.Equal(pieces, test.want) {
				t.Errorf("%q, %v; want %q", pieces, err, test.want)
			}
			if asked := service.asked(); !slices.Equal(asked, test.asked) {
				t.Errorf("asked for %q, not for %q", asked, test.asked)
			}
		})
	}
}

func TestALogIsFollowedOnRequest(t *testing.T) {
	for _, isFollowed := range []bool{false, true} {
		service := serve(t)
		service.logs = []logStream{written(chunk(0, "a")), writtenWell(logEnd(1))}
		client, _ := service.client(t)
		var options []LogOption
		if isFollowed {
			options = append(options, Follow())
		}
		if _, err := readAll(t, client, options...); err != nil {
			t.Fatal(err)
		}
		service.mu.Lock()
		for _, request := range service.read {
			if request.JobId != "j" || request.StageName != "s" || request.Follow != isFollowed {
				t.Errorf("%v", request)
			}
		}
		service.mu.Unlock()
	}
}

func TestAFollowedLogEndsWhereTheServiceSays(t *testing.T) {
	for limit, want := range map[int64]int{0: 3, 9: 1} {
		service := serve(t)
		service.logs = []logStream{
			writtenWell(chunk(0, "a")), writtenWell(), writtenWell(chunk(1, "b"), logEnd(2)),
		}
		client, _ := service.client(t)
		if _, err := readAll(t, client, Follow(), LimitBytes(limit)); err != nil {
			t.Fatal(err)
		}
		if asked := service.asked(); len(asked) != want {
			t.Errorf("with a limit of %d it was asked for %q", limit, asked)
		}
	}
}

func TestTheReasonOfAGapIsReturned(t *testing.T) {
	service := serve(t)
	service.logs = []logStream{writtenWell(gap(0, 5))}
	client, _ := service.client(t)
	for piece, err := range client.ReadLog(t.Context(), "j", "s") {
		if err != nil || piece.Gap.Reason != pipewrightv1.LogGap_REASON_EXPIRED {
			t.Errorf("%v, %v", piece, err)
		}
	}
}

func TestALogEndsWithAFinalError(t *testing.T) {
	for _, code := range []codes.Code{
		codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument,
		codes.Unimplemented, codes.OutOfRange,
	} {
		service := serve(t)
		service.logs = []logStream{written(chunk(0, "a")), {end: status.Error(code, "final")}}
		client, _ := service.client(t)
		pieces, err := readAll(t, client)
		if codeOf(err) != code || len(pieces) != 1 || len(service.asked()) != 2 {
			t.Errorf("%v: %q, %v", code, pieces, err)
		}
	}
}

func TestALogThatWasNeverSentIsTriedFiveTimes(t *testing.T) {
	service := serve(t)
	service.logs = slices.Repeat([]logStream{written()}, 6)
	client, pauses := service.client(t)
	if _, err := readAll(t, client); codeOf(err) != codes.Internal || len(service.asked()) != 5 {
		t.Errorf("%v after %q", err, service.asked())
	}
	pauses.check(t, firstPause, 2*firstPause, 4*firstPause, 8*firstPause)
}

func TestALogThatHasBegunIsRetriedWithoutLimit(t *testing.T) {
	service := serve(t)
	service.logs = append([]logStream{written(chunk(0, "a"))}, slices.Repeat([]logStream{written()}, 9)...)
	service.logs = append(service.logs, writtenWell(chunk(1, "b")))
	client, _ := service.client(t)
	if pieces, err := readAll(t, client); err != nil || len(pieces) != 2 {
		t.Errorf("%q, %v", pieces, err)
	}
}

func TestALogOutlivesItsConnection(t *testing.T) {
	service := serve(t)
	open := written(chunk(0, "one"))
	open.isOpen = true
	service.logs = []logStream{open, writtenWell(chunk(3, "two"))}
	client, _ := service.client(t)
	var text []byte
	for piece, err := range client.ReadLog(t.Context(), "j", "s") {
		if err != nil {
			t.Fatal(err)
		}
		if text = append(text, piece.Data...); len(text) == 3 {
			service.cut()
		}
	}
	if string(text) != "onetwo" {
		t.Errorf("%s", text)
	}
}

func TestASilentLogIsReadOverAnotherStream(t *testing.T) {
	t.Parallel()
	service := serve(t)
	silent := written(chunk(0, "a"))
	silent.isOpen = true
	service.logs = []logStream{silent, writtenWell(chunk(1, "b"))}
	client, _ := service.client(t)
	if patience := newLogReader(client, "j", "s", nil).patience(); patience != 45*time.Second {
		t.Error(patience)
	}
	client.heartbeat = 300 * time.Millisecond
	if pieces, err := readAll(t, client); err != nil || len(pieces) != 2 {
		t.Errorf("%q, %v", pieces, err)
	}
}

func TestLeavingALogEndsItsCallImmediately(t *testing.T) {
	service := serve(t)
	open := written(chunk(0, "a"))
	open.isOpen = true
	service.logs = []logStream{open}
	client, _ := service.client(t)
	for range client.ReadLog(t.Context(), "j", "s") {
		break
	}
	<-service.left
}
