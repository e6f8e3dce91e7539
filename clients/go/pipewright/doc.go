// Package pipewright is a client of Pipewright, a CI/CD pipeline service that speaks gRPC.
//
// A [Client] has the generated clients of the services as its fields. Its calls have a time
// limit, are retried while the service is unavailable, and fail with an [*Error]. On top
// of them, [Client.WatchJob] and [Client.ReadLog] follow a job and a log, and reconnect as
// often as necessary.
package pipewright
