package pipewright

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

// issue creates a certificate and key for a name, as PEM; self-signed without an issuer.
func (a *authority) issue(t *testing.T, name string) (certificate, key []byte, issued *authority) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  a == nil,
		BasicConstraintsValid: true,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer := &authority{template, private, nil}
	if a != nil {
		issuer = a
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, &private.PublicKey, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
	return certificate, key, &authority{template, private, certificate}
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	_, _, issued := (*authority)(nil).issue(t, "authority")
	return issued
}

// serveTLS serves as ci.test to clients with a certificate of the authority.
func serveTLS(t *testing.T, authority *authority) *fake {
	t.Helper()
	certificate, key, _ := authority.issue(t, "ci.test")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority.pem)
	service := serve(t, grpc.Creds(grpccredentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	})))
	service.answer = always(&pipewrightv1.GetJobResponse{}, nil)
	return service
}

// getJob calls a service over TLS.
func getJob(t *testing.T, service *fake, options ...Option) error {
	t.Helper()
	client, err := Connect("https://"+service.address(), options...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	client.sleep = new(pausesMade).sleep
	_, err = client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	return err
}

func TestTLSWithAnAuthorityACertificateAndAName(t *testing.T) {
	trusted := newAuthority(t)
	service := serveTLS(t, trusted)
	certificate, key, _ := trusted.issue(t, "me")
	all := []Option{
		WithCACertificate(trusted.pem), WithClientCertificate(certificate, key),
		WithServerName("ci.test"), WithToken("t"),
	}
	if err := getJob(t, service, all...); err != nil {
		t.Error(err)
	}
	for missing := range 3 {
		some := append(append([]Option{}, all[:missing]...), all[missing+1:]...)
		if err := getJob(t, service, some...); codeOf(err) != codes.Unavailable {
			t.Errorf("without option %d: %v", missing, err)
		}
	}
	if calls := len(service.received()); calls != 1 {
		t.Errorf("%d calls came through", calls)
	}
}

func TestInvalidCertificatesAreRefusedAndNotRepeated(t *testing.T) {
	certificate, key, _ := newAuthority(t).issue(t, "me")
	_, otherKey, _ := newAuthority(t).issue(t, "me")
	for name, option := range map[string]Option{
		"no authority":   WithCACertificate([]byte("s3cret")),
		"empty":          WithCACertificate([]byte{}),
		"no certificate": WithClientCertificate([]byte("s3cret"), key),
		"no key":         WithClientCertificate(certificate, []byte("s3cret")),
		"absent key":     WithClientCertificate(certificate, nil),
		"another's key":  WithClientCertificate(certificate, otherKey),
	} {
		_, err := Connect("https://ci.test", option)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLSOptionsAreForTLSAddresses(t *testing.T) {
	authority := newAuthority(t)
	certificate, key, _ := authority.issue(t, "me")
	for _, option := range []Option{
		WithCACertificate(authority.pem), WithClientCertificate(certificate, key),
		WithServerName("ci.test"),
	} {
		if _, err := Connect("http://127.0.0.1:1", option); err == nil {
			t.Error("an option would do nothing")
		}
	}
}
