package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/pipewright/pipewright/clients/go/pipewright"
)

// line is a command from standard input; one of the first five fields is set.
type line struct {
	Connect *connect        `json:"connect"`
	Close   *object         `json:"close"`
	Call    string          `json:"call"`
	Watch   *watch          `json:"watch"`
	ReadLog *readLog        `json:"read_log"`
	Request json.RawMessage `json:"request"`
	Timeout int64           `json:"timeout_ms"`
	To      string          `json:"to"`
}

type connect struct {
	Address       string `json:"address"`
	Token         string `json:"token"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	CACertificate string `json:"ca_certificate"`
}

type watch struct {
	JobID            string `json:"job_id"`
	LastSeenSequence *int64 `json:"last_seen_sequence"`
}

type readLog struct {
	JobID      string `json:"job_id"`
	StageName  string `json:"stage_name"`
	Attempt    int32  `json:"attempt"`
	Offset     int64  `json:"offset"`
	LimitBytes int64  `json:"limit_bytes"`
	Follow     bool   `json:"follow"`
}

// object is a response with one key.
type object map[string]any

// player holds the client of the last connect.
type player struct {
	client *pipewright.Client
	out    *json.Encoder
}

// play responds to one line. An error is one of the player or the driver, not of the client.
func (p *player) play(line *line) error {
	switch {
	case line.Connect != nil:
		return p.connect(line.Connect)
	case line.Close != nil:
		return p.close()
	case line.Call != "":
		return p.call(line)
	case line.Watch != nil:
		return p.watch(line.Watch)
	case line.ReadLog != nil:
		return p.readLog(line.ReadLog, line.To)
	}
	return p.out.Encode(object{"unsupported": "the line says nothing that is known"})
}

func (p *player) connect(wanted *connect) error {
	var options []pipewright.Option
	if wanted.Token != "" {
		options = append(options, pipewright.WithToken(wanted.Token))
	}
	if wanted.Username != "" {
		options = append(options, pipewright.WithBasic(wanted.Username, wanted.Password))
	}
	if wanted.CACertificate != "" {
		pem, err := os.ReadFile(wanted.CACertificate)
		if err != nil {
			return err
		}
		options = append(options, pipewright.WithCACertificate(pem))
	}
	client, err := pipewright.Connect(wanted.Address, options...)
	if err != nil {
		return p.fail(err)
	}
	if p.client != nil {
		if err := p.client.Close(); err != nil {
			return err
		}
	}
	p.client = client
	return p.out.Encode(object{"connected": object{}})
}

// close keeps the closed client, so that it can still be called.
func (p *player) close() error {
	if err := p.client.Close(); err != nil {
		return err
	}
	return p.out.Encode(object{"closed": object{}})
}

func (p *player) call(line *line) error {
	method := p.method(line.Call)
	if !method.IsValid() {
		return p.out.Encode(object{"unsupported": "there is no unary call " + line.Call})
	}
	request := reflect.New(method.Type().In(1).Elem())
	if err := protojson.Unmarshal(line.Request, request.Interface().(proto.Message)); err != nil {
		return err
	}
	ctx := context.Background()
	if line.Timeout != 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(line.Timeout)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), request})
	if err, failed := results[1].Interface().(error); failed {
		return p.fail(err)
	}
	return p.say("response", results[0].Interface().(proto.Message))
}

// method finds a unary method by its name among the clients of the services.
func (p *player) method(name string) reflect.Value {
	services := []any{
		p.client.Pipelines, p.client.Jobs, p.client.Runners, p.client.Projects, p.client.Admin,
	}
	for _, service := range services {
		method := reflect.ValueOf(service).MethodByName(name)
		if method.IsValid() && method.Type().Out(0).Implements(reflect.TypeFor[proto.Message]()) {
			return method
		}
	}
	return reflect.Value{}
}

func (p *player) watch(wanted *watch) error {
	var options []pipewright.WatchOption
	if wanted.LastSeenSequence != nil {
		options = append(options, pipewright.After(*wanted.LastSeenSequence))
	}
	for update, err := range p.client.WatchJob(context.Background(), wanted.JobID, options...) {
		if err != nil {
			return p.fail(err)
		}
		if err := p.update(update); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) update(update *pipewright.JobUpdate) error {
	var err error
	if update.Event != nil {
		err = p.say("event", update.Event)
	} else {
		err = p.say("snapshot", update.Snapshot)
	}
	if err == nil && update.Ended != nil {
		err = p.say("ended", update.Ended)
	}
	return err
}

func (p *player) readLog(wanted *readLog, to string) (err error) {
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	options := []pipewright.LogOption{
		pipewright.Attempt(wanted.Attempt),
		pipewright.Offset(wanted.Offset),
		pipewright.LimitBytes(wanted.LimitBytes),
	}
	if wanted.Follow {
		options = append(options, pipewright.Follow())
	}
	pieces := p.client.ReadLog(context.Background(), wanted.JobID, wanted.StageName, options...)
	for piece, err := range pieces {
		if err != nil {
			return p.fail(err)
		}
		if _, err := file.Write(piece.Data); err != nil {
			return err
		}
		if err := p.piece(piece); err != nil {
			return err
		}
	}
	return p.out.Encode(object{"log_end": object{}})
}

func (p *player) piece(piece *pipewright.LogPiece) error {
	if gap := piece.Gap; gap != nil {
		bounds := object{"start_offset": gap.StartOffset, "end_offset": gap.EndOffset}
		return p.out.Encode(object{"gap": bounds})
	}
	return p.out.Encode(object{"chunk": object{"offset": piece.Offset, "size": len(piece.Data)}})
}

// say responds with a message of the API.
func (p *player) say(key string, message proto.Message) error {
	text, err := protojson.Marshal(message)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return p.out.Encode(object{key: json.RawMessage(text)})
}
