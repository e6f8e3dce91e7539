package pipewright

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// settings are the combined options.
type settings struct {
	credentials []*credentials
	insecure    bool
	tls         tlsSettings
	timeout     time.Duration
	dialOptions []grpc.DialOption
	// err is the error of a single option.
	err error
}

func settled(options []Option) settings {
	s := settings{timeout: 30 * time.Second}
	for _, option := range options {
		option(&s)
	}
	return s
}

// check refuses invalid combinations before anything is sent.
func (s *settings) check(place address) error {
	switch {
	case s.err != nil:
		return s.err
	case len(s.credentials) > 1:
		return errors.New("pipewright: a client has one token or one user, not more")
	case len(s.credentials) > 0 && !s.insecure && !place.isPrivate():
		return fmt.Errorf("pipewright: credentials would go to %v in plaintext; use https://, "+
			"or WithInsecure if no one else can read the network", place)
	case place.scheme == "http" && s.tls.isSet():
		return fmt.Errorf("pipewright: certificates and the server's name are for https:// "+
			"addresses, and %v is none", place)
	case s.timeout <= 0:
		return errors.New("pipewright: the time limit is more than 0")
	}
	return nil
}
