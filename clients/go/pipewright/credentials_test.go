package pipewright

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

func TestCredentialsAreSentWithEveryCall(t *testing.T) {
	for want, option := range map[string]Option{
		"Bearer t0k-_.~+/=": WithToken("t0k-_.~+/="),
		// The example of RFC 7617.
		"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==": WithBasic("Aladdin", "open sesame"),
	} {
		service := serve(t)
		service.answer = always(&pipewrightv1.GetJobResponse{}, nil)
		client, _ := service.client(t, option)
		if _, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{}); err != nil {
			t.Fatal(err)
		}
		if got := service.received()[0].headers["authorization"]; !slices.Equal(got, []string{want}) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestCredentialsDoNotCrossANetworkInPlaintext(t *testing.T) {
	for _, option := range []Option{WithToken("s3cret"), WithBasic("me", "s3cret")} {
		_, err := Connect("ci.test:1", option)
		if err == nil || !strings.Contains(err.Error(), "in plaintext") {
			t.Error(err)
		}
		for _, address := range []string{"127.0.0.1:1", "localhost:1", "[::1]:1", "https://ci.test"} {
			if client, err := Connect(address, option); err != nil {
				t.Error(err)
			} else {
				_ = client.Close()
			}
		}
		if client, err := Connect("ci.test:1", option, WithInsecure()); err != nil {
			t.Error(err)
		} else {
			_ = client.Close()
		}
	}
}

func TestInvalidCredentialsAreRefusedAndNotRepeated(t *testing.T) {
	for _, option := range []Option{
		WithToken(""), WithToken("s3 cret"), WithToken("s3cret\n"), WithToken("s3cret\u00e9"),
		WithBasic("", "s3cret"), WithBasic("s3:cret", "s3cret"), WithBasic("me", "s3cret\n"),
	} {
		if _, err := Connect("127.0.0.1:1", option); err == nil || strings.Contains(err.Error(), "cret") {
			t.Error(err)
		}
	}
	client, err := Connect("127.0.0.1:1", WithBasic("me", "p:\u00e9"))
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
}

func TestAClientHasOneIdentity(t *testing.T) {
	if _, err := Connect("127.0.0.1:1", WithToken("t"), WithBasic("me", "p")); err == nil {
		t.Error("two are taken")
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	secret, err := bearer("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	client, err := Connect("127.0.0.1:1", WithToken("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, printed := range []any{secret, *secret, client, *client, WithToken("s3cret")} {
			text := fmt.Sprintf(format, printed)
			if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
				t.Errorf("%s of %T: %s", format, printed, text)
			}
		}
	}
}
