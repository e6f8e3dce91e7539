package pipewright

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"

	runnerv1 "github.com/pipewright/pipewright/clients/go/pipewright/runner/v1"
	pipewrightv1 "github.com/pipewright/pipewright/clients/go/pipewright/v1"
)

const (
	// Up to 64 streams without a reader leave half of the connection's window to the others.
	streamWindow     = 64 * 1024
	connectionWindow = 2 * 64 * streamWindow
	// Interval of pings to a silent service, and the time limit for the response.
	pingInterval = 30 * time.Second
	pingTimeout  = 20 * time.Second
	// Default interval of the heartbeats on a stream.
	usualHeartbeat = 15 * time.Second
)

// Client is a connection to a service. It may be used by many goroutines concurrently.
//
// Unless its context has a deadline, a call has the time limit of [WithTimeout]. While the
// service is unavailable a call is retried, five tries in all. To make that safe, the
// client sets the request_id of requests that have this field. Every call fails with an
// [*Error].
type Client struct {
	// Pipelines manages pipelines and starts their jobs.
	Pipelines pipewrightv1.PipelineServiceClient
	// Jobs shows and controls jobs. Its streams are single calls; [Client.WatchJob] and
	// [Client.ReadLog] resume automatically.
	Jobs pipewrightv1.JobServiceClient
	// Runners shows and drains runners.
	Runners pipewrightv1.RunnerServiceClient
	// Projects manages projects, which own pipelines.
	Projects pipewrightv1.ProjectServiceClient
	// Admin shows operators the background tasks of the service.
	Admin pipewrightv1.AdminServiceClient
	// Leases assigns stages to runners. Its calls have no time limit except that of their context, as
	// the service holds some of them, and are not retried, as a lease has rules of its own.
	Leases runnerv1.LeaseServiceClient

	conn      *grpc.ClientConn
	host      string
	closed    context.Context
	close     context.CancelFunc
	timeout   time.Duration
	heartbeat time.Duration
	sleep     func(context.Context, time.Duration) error
}

// Connect creates a client of the service at address: `https://host:port`, `http://host:port`,
// or `host:port` for http. Without a port it is 443 or 80. The first call connects.
//
// The error describes what is wrong with the address or the options, and contains no secret.
func Connect(address string, options ...Option) (*Client, error) {
	place, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	settings := settled(options)
	if err := settings.check(place); err != nil {
		return nil, err
	}
	client := &Client{host: place.hostPort(), timeout: settings.timeout, heartbeat: usualHeartbeat, sleep: sleep}
	client.closed, client.close = context.WithCancel(context.Background())
	dialOptions, err := client.dialOptions(place, &settings)
	if err != nil {
		return nil, err
	}
	client.conn, err = grpc.NewClient(place.target(), dialOptions...)
	if err != nil {
		return nil, err
	}
	client.Pipelines = pipewrightv1.NewPipelineServiceClient(client.conn)
	client.Jobs = pipewrightv1.NewJobServiceClient(client.conn)
	client.Runners = pipewrightv1.NewRunnerServiceClient(client.conn)
	client.Projects = pipewrightv1.NewProjectServiceClient(client.conn)
	client.Admin = pipewrightv1.NewAdminServiceClient(client.conn)
	client.Leases = runnerv1.NewLeaseServiceClient(client.conn)
	return client, nil
}

// Close ends the connection and all calls on it with CANCELLED; later calls fail in the same
// way.
func (c *Client) Close() error {
	c.close()
	return c.conn.Close()
}

func (c *Client) isClosed() bool {
	return c.closed.Err() != nil
}

// pause waits, or fails with an [*Error] when ctx ends or the client is closed.
func (c *Client) pause(ctx context.Context, pause time.Duration) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)()
	err := c.sleep(waiting, pause)
	if c.isClosed() {
		return errClosed
	}
	return err
}

func (c *Client) dialOptions(place address, settings *settings) ([]grpc.DialOption, error) {
	transport, err := settings.tls.transport(place)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithChainUnaryInterceptor(c.callUnary),
		grpc.WithChainStreamInterceptor(c.openStream),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  firstPause,
				Multiplier: 2,
				Jitter:     0.2,
				MaxDelay:   longestPause,
			},
			MinConnectTimeout: longestPause,
		}),
		// The client itself counts the tries of a call, not a service config from the DNS.
		grpc.WithDisableServiceConfig(),
	}
	for _, credentials := range settings.credentials {
		options = append(options, grpc.WithPerRPCCredentials(credentials))
	}
	return append(options, settings.dialOptions...), nil
}
