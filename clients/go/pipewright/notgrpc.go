package pipewright

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// longestExcerpt is how many characters of a body that is not gRPC an error quotes.
const longestExcerpt = 80

var (
	// httpAnswer matches the message of the library for an answer that is not gRPC: the HTTP
	// status, the content type and the first 1 KiB of the body, the last two quoted if present.
	httpAnswer = regexp.MustCompile(`(?s)^unexpected HTTP status code received from server: (\d+) \([^)]*\)` +
		`(?:; transport: received unexpected content-type ("(?:[^"\\]|\\.)*"))?` +
		`(?:; malformed header: missing HTTP content-type)?(?:\ndata: (".*"))?$`)
	title   = regexp.MustCompile(`(?is)<title[^>]*>\s*([^<\s][^<]*)`)
	hidden  = regexp.MustCompile(`(?is)<(script|style)\b.*?(</(script|style)\s*>|$)|<!--.*?(-->|$)`)
	tag     = regexp.MustCompile(`(?s)<[^>]*(>|$)`)
	textual = regexp.MustCompile(`\S.*`)
)

// typed gives the error of a call as an [*Error], and names the peer where the answer did not
// come from a gRPC service. nil and io.EOF stay.
func (c *Client) typed(ctx context.Context, err error) error {
	err = typed(ctx, err)
	if failed, isTyped := errors.AsType[*Error](err); isTyped && failed.cause == nil {
		failed.explain(c.host)
	}
	return err
}

// explain replaces what the library says about an answer that is not gRPC. The code stays: the
// library maps the HTTP status as the specification of gRPC does.
func (e *Error) explain(host string) {
	if answer := httpAnswer.FindStringSubmatch(e.Message); answer != nil {
		e.HTTPStatus, _ = strconv.Atoi(answer[1])
		e.reword(notGRPC(host, answer[1], unquoted(answer[2]), unquoted(answer[3])))
		return
	}
	for _, wrong := range []string{speaksHTTP1(host), speaksTLS(host)} {
		if e.Code == codes.Unavailable && strings.Contains(e.Message, wrong) {
			e.reword(wrong)
			return
		}
	}
	// The library gives an answer without a status these; it hides the HTTP status.
	if e.Code == codes.Unknown && e.Message == "" && len(e.status.Details()) == 0 ||
		e.Code == codes.Internal && e.Message == "server closed the stream without sending trailers" {
		e.reword(host + " answered without a gRPC status: is there a proxy in between?")
	}
}

func (e *Error) reword(message string) {
	e.Message, e.status = message, status.New(e.Code, message)
}

func notGRPC(host, httpStatus, contentType, body string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	if kind = cleaned(kind); kind == "" {
		kind = "no content type"
	}
	said := excerpt(body)
	if said != "" {
		said = " It says: " + said
	}
	return host + " answered with HTTP " + httpStatus + " (" + kind +
		"), which is not gRPC: is there a proxy in between?" + said
}

// excerpt is the title of a page, or the first line of text.
func excerpt(body string) string {
	if found := title.FindStringSubmatch(body); found != nil {
		return cleaned(found[1])
	}
	if strings.HasPrefix(strings.TrimSpace(body), "<") {
		body = tag.ReplaceAllString(hidden.ReplaceAllString(body, ""), "\n")
	}
	for _, line := range textual.FindAllString(body, -1) {
		if line = cleaned(line); line != "" {
			return line
		}
	}
	return ""
}

// cleaned is text in one line, safe for a terminal.
func cleaned(text string) string {
	text = strings.Map(func(char rune) rune {
		switch {
		case unicode.IsSpace(char):
			return ' '
		case unicode.IsPrint(char):
			return char
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	chars := []rune(strings.Join(strings.Fields(text), " "))
	if len(chars) > longestExcerpt {
		return string(chars[:longestExcerpt-1]) + "…"
	}
	return string(chars)
}

// unquoted is empty for text that is absent.
func unquoted(text string) string {
	text, _ = strconv.Unquote(text)
	return text
}

func speaksHTTP1(host string) string {
	return host + " speaks HTTP/1, but gRPC needs HTTP/2: is there a proxy in between?"
}

func speaksTLS(host string) string {
	return host + " speaks TLS, but the address is without it: is it https://" + host + "?"
}

// plaintext has connections without TLS, which tell what a peer speaks that does not speak HTTP/2.
// The library reports only that a frame is too large or that the connection ended.
type plaintext struct {
	grpccredentials.TransportCredentials
	host string
}

// ClientHandshake wraps the connection.
func (p *plaintext) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, grpccredentials.AuthInfo, error) {
	connection, info, err := p.TransportCredentials.ClientHandshake(ctx, authority, raw)
	return &greeted{Conn: connection, host: p.host}, info, err
}

// Clone keeps the wrapper.
func (p *plaintext) Clone() grpccredentials.TransportCredentials {
	return &plaintext{TransportCredentials: p.TransportCredentials.Clone(), host: p.host}
}

// greeted is a connection whose first byte from the peer is inspected. One goroutine reads it.
type greeted struct {
	net.Conn
	host    string
	isHeard bool
}

// Read fails with the reason if the peer does not speak HTTP/2, whose first frame is SETTINGS:
// its first byte, the highest of the length, is 0.
func (g *greeted) Read(buffer []byte) (int, error) {
	count, err := g.Conn.Read(buffer)
	if g.isHeard || count == 0 {
		return count, err
	}
	g.isHeard = true
	switch buffer[0] {
	case 'H':
		return 0, errors.New(speaksHTTP1(g.host))
	case 0x15: // An alert.
		return 0, errors.New(speaksTLS(g.host))
	}
	return count, err
}
