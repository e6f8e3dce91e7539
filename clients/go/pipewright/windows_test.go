package pipewright

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"

	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

// By default the library lets streams without a reader take the whole window of the connection.
func TestTheWindowsAreSentToTheService(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := Connect(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan error)
	go func() {
		_, err := client.Jobs.GetJob(t.Context(), &pipewrightv1.GetJobRequest{})
		called <- err
	}()
	connection, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	stream, whole := windows(t, connection)
	if stream != 64*1024 || whole != 8*1024*1024 {
		t.Errorf("%d bytes for a stream, %d for the connection", stream, whole)
	}
	_ = client.Close()
	<-called
	_ = connection.Close()
}

// windows returns the windows of a stream and of the connection that the client sends first.
func windows(t *testing.T, connection net.Conn) (stream, whole uint32) {
	_ = connection.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(connection, make([]byte, len(http2.ClientPreface))); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(connection, connection)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	whole = 65_535 // What HTTP/2 begins with.
	for stream == 0 || whole == 65_535 {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if value, isSet := frame.Value(http2.SettingInitialWindowSize); isSet {
				stream = value
			}
		case *http2.WindowUpdateFrame:
			whole += frame.Increment
		}
	}
	return stream, whole
}
