package pipewright

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// answering is a client of a peer that speaks HTTP/2, but not gRPC, and counts its requests.
func answering(t *testing.T, handler http.HandlerFunc) (client *Client, host string, calls *atomic.Int64) {
	t.Helper()
	calls = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	host = server.Listener.Addr().String()
	return impatient(t, host), host, calls
}

// impatient is a client whose pauses are over at once.
func impatient(t *testing.T, host string) *Client {
	t.Helper()
	client, err := Connect(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	client.sleep = new(pausesMade).sleep
	return client
}

// failures are the errors of a call, a watch and a log.
func failures(t *testing.T, client *Client) map[string]*Error {
	t.Helper()
	_, unary := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
	all := map[string]error{"unary": unary}
	for _, err := range client.WatchJob(t.Context(), "j") {
		all["watch"] = err
	}
	for _, err := range client.ReadLog(t.Context(), "j", "s") {
		all["log"] = err
	}
	found := make(map[string]*Error)
	for name, err := range all {
		failed, isTyped := errors.AsType[*Error](err)
		if !isTyped {
			t.Fatalf("%s: %T %v", name, err, err)
		}
		if told := status.Convert(failed); told.Code() != failed.Code || told.Message() != failed.Message {
			t.Errorf("%s: the status is %v", name, told)
		}
		found[name] = failed
	}
	return found
}

const page = "<!DOCTYPE html>\n<html><head><title>\n502 Bad\tGateway </title></head><body>no</body></html>"

func TestAnAnswerThatIsNotGRPCIsReportedWithItsHTTPStatus(t *testing.T) {
	for _, test := range []struct {
		status            int
		contentType, body string
		code              codes.Code
		told              string
	}{
		{200, "text/html; charset=utf-8", page, codes.Unknown, "HTTP 200 (text/html)+502 Bad Gateway"},
		{302, "text/plain", "", codes.Unknown, "HTTP 302 (text/plain)"},
		{400, "text/plain", "bad\x1b[31m request\r\nmore", codes.Internal, "HTTP 400 (text/plain)+bad[31m request"},
		{401, "application/json", `{"error": "sign in"}`, codes.Unauthenticated, `HTTP 401 (application/json)+{"error": "sign in"}`},
		{403, "text/html", "<html><style>a {}</style><h1>Access denied</h1>", codes.PermissionDenied, "HTTP 403 (text/html)+Access denied"},
		{404, "text/plain", "\n \nno such page\n", codes.Unimplemented, "HTTP 404 (text/plain)+no such page"},
		{413, "text/html", page, codes.Unknown, "HTTP 413 (text/html)+502 Bad Gateway"},
		{429, "text/plain", strings.Repeat("é", 200), codes.Unavailable, "HTTP 429 (text/plain)+" + strings.Repeat("é", 79) + "…"},
		{502, "text/html", page, codes.Unavailable, "HTTP 502 (text/html)+502 Bad Gateway"},
		{503, "text/html", "<title>later", codes.Unavailable, "HTTP 503 (text/html)+later"},
		{504, "text/html", "", codes.Unavailable, "HTTP 504 (text/html)"},
		{200, "", "", codes.Unknown, "HTTP 200 (no content type)"},
	} {
		t.Run(test.told, func(t *testing.T) {
			client, host, calls := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				if test.contentType != "" {
					w.Header().Set("Content-Type", test.contentType)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			answer, said, _ := strings.Cut(test.told, "+")
			want := host + " answered with " + answer + ", which is not gRPC: is there a proxy in between?"
			if said != "" {
				want += " It says: " + said
			}
			for name, failed := range failures(t, client) {
				if failed.Message != want || failed.Code != test.code || failed.HTTPStatus != test.status {
					t.Errorf("%s: %v with HTTP status %d, not %s", name, failed, failed.HTTPStatus, want)
				}
			}
			before := calls.Load()
			_, _ = client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
			tries := int64(1)
			if test.code == codes.Unavailable {
				tries = maxTries
			}
			if made := calls.Load() - before; made != tries {
				t.Errorf("%d tries, not %d", made, tries)
			}
		})
	}
}

func TestAnAnswerWithoutAStatusNamesTheHost(t *testing.T) {
	for name, flush := range map[string]bool{"at once": false, "after the headers": true} {
		t.Run(name, func(t *testing.T) {
			client, host, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/grpc")
				if flush {
					w.(http.Flusher).Flush()
				}
			})
			for name, failed := range failures(t, client) {
				if failed.Message != host+" answered without a gRPC status: is there a proxy in between?" {
					t.Errorf("%s: %v", name, failed)
				}
			}
		})
	}
}

// greeting is a peer that says the same to all who connect.
func greeting(t *testing.T, text string) (host string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.WriteString(connection, text)
				_, _ = io.Copy(io.Discard, connection)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestAPeerThatDoesNotSpeakHTTP2IsNamed(t *testing.T) {
	for text, told := range map[string]func(string) string{
		"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n": speaksHTTP1,
		"\x15\x03\x01\x00\x02\x02\x46":                          speaksTLS,
	} {
		host := greeting(t, text)
		for name, failed := range failures(t, impatient(t, host)) {
			if failed.Message != told(host) || failed.Code != codes.Unavailable || failed.HTTPStatus != 0 {
				t.Errorf("%s: %v", name, failed)
			}
		}
	}
}
