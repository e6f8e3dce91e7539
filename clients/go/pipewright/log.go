package pipewright

import (
	"context"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// LogPiece is a part of a log. Either Data or Gap is set.
type LogPiece struct {
	// Offset is where the piece starts, in bytes from the beginning of the log.
	Offset int64
	// Data is what the command wrote: any bytes, not only UTF-8, and not cut for lines.
	Data []byte
	// Gap is a range of bytes that are not stored.
	Gap *pipewrightv1.LogGap
}

// LogOption is a setting of [Client.ReadLog].
type LogOption func(*pipewrightv1.ReadStageLogRequest)

// Attempt reads the log of this attempt at the stage, 1 for the first; the newest unless set.
func Attempt(number int32) LogOption {
	return func(request *pipewrightv1.ReadStageLogRequest) { request.Attempt = number }
}

// Offset starts at this byte, 0 unless set; a negative number counts from the end. Past the
// end is an error, OUT_OF_RANGE.
func Offset(bytes int64) LogOption {
	return func(request *pipewrightv1.ReadStageLogRequest) { request.Offset = bytes }
}

// LimitBytes stops after this many bytes; 0 is no limit. Gaps do not count.
func LimitBytes(bytes int64) LogOption {
	return func(request *pipewrightv1.ReadStageLogRequest) { request.LimitBytes = bytes }
}

// Follow waits for more until the stage is over, instead of stopping at the present end.
func Follow() LogOption {
	return func(request *pipewrightv1.ReadStageLogRequest) { request.Follow = true }
}

// ReadLog returns the log of a stage, piece by piece: each byte once, in order. It reconnects
// as often as necessary.
//
// An error is an [*Error], and the last item. The same errors are final as with
// [Client.WatchJob], and OUT_OF_RANGE too; others are retried. Leaving the loop cancels the
// call.
func (c *Client) ReadLog(
	ctx context.Context, jobID, stageName string, options ...LogOption,
) iter.Seq2[*LogPiece, error] {
	return func(yield func(*LogPiece, error) bool) {
		l := newLogReader(c, jobID, stageName, options)
		l.give = func(piece *LogPiece) bool { return yield(piece, nil) }
		if err := l.run(ctx, l.stream); err != nil {
			yield(nil, err)
		}
	}
}

// logReader is the state between two streams: its request asks for the remaining part.
type logReader struct {
	resumption
	request   *pipewrightv1.ReadStageLogRequest
	isLimited bool
	isAtEnd   bool
	give      func(*LogPiece) bool
}

func newLogReader(
	client *Client, jobID, stageName string, options []LogOption,
) *logReader {
	request := &pipewrightv1.ReadStageLogRequest{JobId: jobID, StageName: stageName}
	for _, option := range options {
		option(request)
	}
	return &logReader{
		resumption: resumption{client: client, isFinal: func(code codes.Code) bool {
			return isFinal(code) || code == codes.OutOfRange
		}},
		request:   request,
		isLimited: request.LimitBytes > 0,
	}
}

func (l *logReader) stream(ctx context.Context) error {
	err := receive(ctx, l.patience(), l.open, l.accept)
	switch {
	case err != io.EOF:
		return err
	// A log that is followed to its end reports that end.
	case l.request.Follow && !l.isLimited && !l.isAtEnd:
		return errNoEnd
	}
	return errOver
}

func (l *logReader) patience() time.Duration {
	return 3 * l.client.heartbeat
}

func (l *logReader) open(
	ctx context.Context,
) (grpc.ServerStreamingClient[pipewrightv1.ReadStageLogResponse], error) {
	return l.client.Jobs.ReadStageLog(ctx, l.request)
}

// accept ignores a payload that it does not know.
func (l *logReader) accept(message *pipewrightv1.ReadStageLogResponse) error {
	l.heard()
	l.isAtEnd = message.GetEnd() != nil
	piece, err := l.piece(message)
	if err != nil {
		return err
	}
	l.request.Attempt = message.Attempt
	l.request.Offset = max(l.request.Offset, message.NextOffset)
	if piece == nil {
		return nil
	}
	return l.tell(piece)
}

// piece returns the new part of a message; nil if there is none.
func (l *logReader) piece(message *pipewrightv1.ReadStageLogResponse) (*LogPiece, error) {
	switch payload := message.Payload.(type) {
	case *pipewrightv1.ReadStageLogResponse_Chunk:
		chunk := payload.Chunk
		start, err := l.startOfNew(chunk.GetOffset())
		had := start - chunk.GetOffset()
		if err != nil || had >= int64(len(chunk.GetData())) {
			return nil, err
		}
		return &LogPiece{Offset: start, Data: chunk.Data[had:]}, nil
	case *pipewrightv1.ReadStageLogResponse_Gap:
		gap := payload.Gap
		start, err := l.startOfNew(gap.GetStartOffset())
		if err != nil || start >= gap.GetEndOffset() {
			return nil, err
		}
		gap.StartOffset = start
		return &LogPiece{Offset: start, Gap: gap}, nil
	}
	return nil, nil
}

// startOfNew returns the first byte from offset on that was not read already. If the requested
// offset counts from the end, the start is not known before the first message.
func (l *logReader) startOfNew(offset int64) (int64, error) {
	expected := l.request.Offset
	if expected >= 0 && offset > expected {
		return 0, errGap
	}
	return max(offset, expected), nil
}

// tell yields a piece to the caller. Once the limit is reached no further request is made: a
// limit of 0 would mean no limit.
func (l *logReader) tell(piece *LogPiece) error {
	if !l.give(piece) {
		return errOver
	}
	if !l.isLimited {
		return nil
	}
	l.request.LimitBytes -= int64(len(piece.Data))
	if l.request.LimitBytes <= 0 {
		return errOver
	}
	return nil
}
