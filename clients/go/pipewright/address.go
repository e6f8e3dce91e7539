package pipewright

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// None of these repeats the address: it may contain a password.
var (
	errAddress         = errors.New("pipewright: an address is https://host:port, http://host:port or host:port")
	errAddressSecret   = errors.New("pipewright: an address has no credentials in it; use WithToken or WithBasic")
	errAddressProtocol = errors.New("pipewright: the scheme of an address is https or http")
)

// address is the scheme, host and port of a service.
type address struct {
	scheme, host, port string
}

func parseAddress(text string) (address, error) {
	scheme, _, found := strings.Cut(text, "://")
	if !found {
		scheme, text = "http", "http://"+text
	}
	if scheme != "http" && scheme != "https" {
		return address{}, errAddressProtocol
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return address{}, errAddress
	}
	if parsed.User != nil {
		return address{}, errAddressSecret
	}
	place := address{scheme: scheme, host: parsed.Hostname(), port: parsed.Port()}
	if place.port == "" {
		place.port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	_, err = strconv.ParseUint(place.port, 10, 16)
	rest := strings.TrimSuffix(text, "/") != scheme+"://"+parsed.Host
	if err != nil || place.host == "" || rest {
		return address{}, errAddress
	}
	return place, nil
}

// String returns the address as people write it.
func (a address) String() string {
	return a.scheme + "://" + a.hostPort()
}

// target returns the address in gRPC's form.
func (a address) target() string {
	return "dns:///" + a.hostPort()
}

func (a address) hostPort() string {
	return net.JoinHostPort(a.host, a.port)
}

// isPrivate reports whether calls cannot be read on a network.
func (a address) isPrivate() bool {
	if a.scheme == "https" || strings.EqualFold(a.host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(a.host)
	return err == nil && ip.IsLoopback()
}
