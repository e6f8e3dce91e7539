package pipewright

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// settings are what the options say together.
type settings struct {
	credentials []*credentials
	insecure    bool
	tls         tlsSettings
	timeout     time.Duration
	dialOptions []grpc.DialOption
	// err is what is wrong with an option by itself.
	err error
}

func settled(options []Option) settings {
	s := settings{timeout: 30 * time.Second}
	for _, option := range options {
		option(&s)
	}
	return s
}

// check refuses, before anything is sent, what would not do what was meant.
func (s *settings) check(place address) error {
	switch {
	case s.err != nil:
		return s.err
	case len(s.credentials) > 1:
		return errors.New("pipewright: a client has one token or one user, not more")
	case len(s.credentials) > 0 && !s.insecure && !place.isPrivate():
		return fmt.Errorf("pipewright: credentials would go to %v in the clear; use https://, "+
			"or WithInsecure where nobody else is on the way", place)
	case place.scheme == "http" && s.tls.isSet():
		return fmt.Errorf("pipewright: certificates and the server's name are for https:// "+
			"addresses, and %v is none", place)
	case s.timeout <= 0:
		return errors.New("pipewright: the time limit is more than 0")
	}
	return nil
}
