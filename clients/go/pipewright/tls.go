package pipewright

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// tlsSettings are the certificates and names of a connection; the first three are PEM.
type tlsSettings struct {
	authorities, certificate, key []byte
	serverName                    string
}

func (s *tlsSettings) isSet() bool {
	return s.authorities != nil || s.certificate != nil || s.key != nil || s.serverName != ""
}

// transport returns the transport security of a connection to place.
func (s *tlsSettings) transport(place address) (grpccredentials.TransportCredentials, error) {
	if place.scheme == "http" {
		return &plaintext{insecure.NewCredentials(), place.hostPort()}, nil
	}
	config := &tls.Config{ServerName: s.serverName, MinVersion: tls.VersionTLS12}
	if s.authorities != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(s.authorities) {
			return nil, errors.New("pipewright: the authorities hold no certificate in PEM")
		}
	}
	if s.certificate != nil || s.key != nil {
		pair, err := tls.X509KeyPair(s.certificate, s.key)
		if err != nil {
			// The cause might contain the key.
			return nil, errors.New("pipewright: the client certificate and key are not a pair in PEM")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return grpccredentials.NewTLS(config), nil
}
