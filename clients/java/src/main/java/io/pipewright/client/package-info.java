/**
 * A client of Pipewright, a CI/CD pipeline service that speaks gRPC. {@link
 * io.pipewright.client.PipewrightClient} is the entry point; the messages are in {@code
 * io.pipewright.v1}, and their comments are the contract.
 */
package io.pipewright.client;
