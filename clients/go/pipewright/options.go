package pipewright

import (
	"errors"
	"time"

	"google.golang.org/grpc"
)

// Option is a setting of a client.
type Option func(*settings)

// WithToken sends a token with every call, as `authorization: Bearer TOKEN`.
func WithToken(token string) Option {
	return withCredentials(bearer(token))
}

// WithBasic sends a username and a password with every call (RFC 7617). A username has no colon,
// and neither has control characters.
func WithBasic(username, password string) Option {
	return withCredentials(basic(username, password))
}

func withCredentials(given *credentials, err error) Option {
	return func(s *settings) {
		s.credentials = append(s.credentials, given)
		s.err = errors.Join(s.err, err)
	}
}

// WithInsecure allows credentials to be sent in plaintext, which others on the network can
// read. Without it they are sent only to https addresses and to this machine.
func WithInsecure() Option {
	return func(s *settings) { s.insecure = true }
}

// WithCACertificate trusts the authorities in pem instead of the system's. Only for https
// addresses, like the other certificate options.
func WithCACertificate(pem []byte) Option {
	return func(s *settings) { s.tls.authorities = pem }
}

// WithClientCertificate authenticates the client with a certificate. Both are PEM.
func WithClientCertificate(certificate, key []byte) Option {
	return func(s *settings) { s.tls.certificate, s.tls.key = certificate, key }
}

// WithServerName sets the name in the service's certificate, if it differs from the address.
func WithServerName(name string) Option {
	return func(s *settings) { s.tls.serverName = name }
}

// WithTimeout sets the time limit of each call whose context has no deadline, including its
// retries: 30 s by default. It must be more than 0. Streams have no limit.
func WithTimeout(limit time.Duration) Option {
	return func(s *settings) { s.timeout = limit }
}

// WithDialOptions passes options to gRPC, such as a stats handler. They come after the
// client's own, so one that can be given only once replaces the client's.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dialOptions = append(s.dialOptions, options...) }
}
