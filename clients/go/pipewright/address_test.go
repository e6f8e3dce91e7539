package pipewright

import (
	"strings"
	"testing"
)

func TestAddressesWithAndWithoutSchemeAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:1":       "http://127.0.0.1:1",
		"ci.test":           "http://ci.test:80",
		"http://ci.test:2/": "http://ci.test:2",
		"http://ci.test":    "http://ci.test:80",
		"[::1]:3":           "http://[::1]:3",
		"[::1]":             "http://[::1]:80",
		"https://ci.test":   "https://ci.test:443",
		"https://ci.test:4": "https://ci.test:4",
	} {
		place, err := parseAddress(text)
		if err != nil || place.String() != want {
			t.Errorf("%q is %v, %v; want %v", text, place, err, want)
		}
		if !strings.HasSuffix(want, strings.TrimPrefix(place.target(), "dns:///")) {
			t.Errorf("%q goes to %v", text, place.target())
		}
	}
}

func TestInvalidAddressesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "http://", ":1", "a b", "ftp://ci.test", "HTTP://ci.test", "://ci.test", "unix:///a",
		"https://ci.test/path", "https://ci.test//", "https://ci.test?q", "https://ci.test?",
		"https://ci.test#f", "ci.test:65536", "ci.test:x", "::1", "http://::1:1",
	} {
		if place, err := parseAddress(text); err == nil {
			t.Errorf("%q is taken as %v", text, place)
		}
	}
}

func TestCredentialsInAnAddressAreNotRepeated(t *testing.T) {
	for _, text := range []string{
		"https://me:secret@ci.test", "me:secret@ci.test:1", "https://me:secret@ci.test:x",
		"https://me:secret@ci.test/path",
	} {
		_, err := Connect(text)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOnlyWhatCannotLeaveTheMachineIsPrivateWithoutTLS(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost", "LocalHost:1",
		"[::ffff:127.0.0.1]:1", "https://ci.test",
	} {
		if place, err := parseAddress(text); err != nil || !place.isPrivate() {
			t.Errorf("%q, %v", text, err)
		}
	}
	for _, text := range []string{
		"0.0.0.0:1", "10.0.0.1:1", "localhost.test:1", "127.0.0.1.test:1", "ci.test:1",
		"[::ffff:10.0.0.1]:1", "[::]:1",
	} {
		if place, err := parseAddress(text); err != nil || place.isPrivate() {
			t.Errorf("%q, %v", text, err)
		}
	}
}
