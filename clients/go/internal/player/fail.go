package main

import (
	"errors"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/pipewright/pipewright/clients/go/pipewright"
)

// failure is the response when the client fails, always with every key.
type failure struct {
	Code            string            `json:"code"`
	Reason          string            `json:"reason"`
	Message         string            `json:"message"`
	Metadata        map[string]string `json:"metadata"`
	FieldViolations []violation       `json:"fieldViolations"`
}

type violation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

func (p *player) fail(err error) error {
	// A refusal of Connect, which has no code.
	told := failure{Code: code.Code_INVALID_ARGUMENT.String(), Message: err.Error()}
	if failed, isTyped := errors.AsType[*pipewright.Error](err); isTyped {
		told.Code = code.Code(failed.Code).String()
		told.Reason, told.Message, told.Metadata = failed.Reason, failed.Message, failed.Metadata
		for _, each := range failed.FieldViolations {
			told.FieldViolations = append(told.FieldViolations, violation(each))
		}
	}
	if told.Metadata == nil {
		told.Metadata = map[string]string{}
	}
	if told.FieldViolations == nil {
		told.FieldViolations = []violation{}
	}
	return p.out.Encode(object{"error": told})
}
