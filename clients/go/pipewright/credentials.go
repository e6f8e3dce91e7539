package pipewright

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// credentials are the value of the authorization header. They are never printed.
type credentials struct {
	authorization string
}

func bearer(token string) (*credentials, error) {
	isHidden := func(char rune) bool { return char <= ' ' || char > '~' }
	if token == "" || strings.ContainsFunc(token, isHidden) {
		return nil, errors.New("pipewright: a token is one or more visible ASCII characters")
	}
	return &credentials{"Bearer " + token}, nil
}

// basic implements RFC 7617.
func basic(username, password string) (*credentials, error) {
	if username == "" || strings.Contains(username, ":") {
		return nil, errors.New("pipewright: a user's name is not empty and has no colon")
	}
	if strings.ContainsFunc(username+password, unicode.IsControl) {
		return nil, errors.New("pipewright: names and passwords have no control characters")
	}
	pair := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	return &credentials{"Basic " + pair}, nil
}

// GetRequestMetadata returns the header for gRPC.
func (c *credentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": c.authorization}, nil
}

// RequireTransportSecurity leaves the decision to Connect, which knows loopback addresses.
func (c *credentials) RequireTransportSecurity() bool {
	return false
}

// Format hides the credentials from every verb of fmt.
func (credentials) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, "credentials(hidden)")
}
