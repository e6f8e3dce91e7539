package pipewright_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/pipewright/pipewright/clients/go/pipewright"
	v1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// Parameters of the examples.
var (
	ctx           = context.Background()
	client        *pipewright.Client
	jobID         string
	saved         int64
	updateRequest *v1.UpdatePipelineRequest
)

func ExampleConnect() {
	authorities, err := os.ReadFile("ca.pem")
	if err != nil {
		log.Fatal(err)
	}
	client, err := pipewright.Connect("https://ci.example.com",
		pipewright.WithToken(os.Getenv("PIPEWRIGHT_TOKEN")),
		pipewright.WithCACertificate(authorities))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleClient_WatchJob() {
	for update, err := range client.WatchJob(ctx, jobID, pipewright.After(saved)) {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case update.Snapshot != nil:
			fmt.Println("the job is", update.Snapshot.Job.State)
		case update.Event.GetStageRunChanged() != nil:
			run := update.Event.GetStageRunChanged().StageRun
			fmt.Println("stage", run.StageName, "is", run.State)
		}
		if update.Ended != nil {
			fmt.Println("it ended as", update.Ended.State)
		}
		saved = update.Sequence
	}
}

func ExampleClient_ReadLog() {
	options := []pipewright.LogOption{pipewright.Offset(-4096), pipewright.Follow()}
	for piece, err := range client.ReadLog(ctx, jobID, "build", options...) {
		if err != nil {
			log.Fatal(err)
		}
		if piece.Gap != nil {
			fmt.Println("not kept:", piece.Gap.EndOffset-piece.Gap.StartOffset, "bytes")
			continue
		}
		os.Stdout.Write(piece.Data)
	}
}

func ExampleError() {
	_, err := client.Pipelines.UpdatePipeline(ctx, updateRequest)
	if failed, ok := errors.AsType[*pipewright.Error](err); ok {
		switch {
		case failed.Reason == "ETAG_MISMATCH":
			fmt.Println("another client changed it first: read it again")
		case failed.Code == codes.InvalidArgument:
			for _, violation := range failed.FieldViolations {
				fmt.Println(violation.Field, violation.Description)
			}
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("it took too long")
	}
}

func ExampleWithTimeout() {
	client, err := pipewright.Connect("127.0.0.1:50051", pipewright.WithTimeout(time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err = client.Jobs.GetJob(short, &v1.GetJobRequest{JobId: jobID})
}
