package pipewright

import (
	"crypto/rand"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// withRequestID returns a copy of the request with a request_id, so that all tries of one call
// count as one. A request without the field, with an id, or for validation only is unchanged.
func withRequestID(request any) any {
	message, isProto := request.(proto.Message)
	if !isProto {
		return request
	}
	fields := message.ProtoReflect().Descriptor().Fields()
	id := fields.ByName("request_id")
	if id == nil || message.ProtoReflect().Has(id) {
		return request
	}
	if dry := fields.ByName("validate_only"); dry != nil && message.ProtoReflect().Has(dry) {
		return request
	}
	message = proto.Clone(message)
	message.ProtoReflect().Set(id, protoreflect.ValueOfString(newUUID()))
	return message
}

// newUUID returns a random UUID, version 4 of RFC 9562.
func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // It never fails.
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
