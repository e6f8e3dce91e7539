package io.pipewright.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * One call with a stream as its response, read by one thread. The iterators of gRPC have no limit
 * for silence.
 */
final class StreamCall<M> extends ClientCall.Listener<M> {
  private sealed interface Received<M> {}

  private record Message<M>(M message) implements Received<M> {}

  private record End<M>(Status status, Metadata trailers) implements Received<M> {}

  /** Never more than one message and the end: the next message is requested when one is read. */
  private final BlockingQueue<Received<M>> received = new LinkedBlockingQueue<>();

  private final ClientCall<?, M> call;

  private StreamCall(ClientCall<?, M> call) {
    this.call = call;
  }

  static <Q, M> StreamCall<M> open(Channel channel, MethodDescriptor<Q, M> method, Q request) {
    ClientCall<Q, M> call = channel.newCall(method, CallOptions.DEFAULT);
    StreamCall<M> stream = new StreamCall<>(call);
    call.start(stream, new Metadata());
    call.request(1);
    call.sendMessage(request);
    call.halfClose();
    return stream;
  }

  /**
   * Waits for the next message.
   *
   * @return empty at an end without an error
   * @throws StatusException if the call failed, or nothing arrived within {@code silence}
   */
  Optional<M> next(Duration silence) throws StatusException, InterruptedException {
    Received<M> next = received.poll(NANOSECONDS.convert(silence), NANOSECONDS);
    if (next instanceof Message<M> message) {
      call.request(1);
      return Optional.of(message.message());
    }
    if (next instanceof End<M> end) {
      if (end.status().isOk()) {
        return Optional.empty();
      }
      throw end.status().asException(end.trailers());
    }
    throw Status.UNAVAILABLE.withDescription("the service has gone silent").asException();
  }

  /** Cancels the call; does nothing after its end. */
  void cancel() {
    call.cancel("not read any more", null);
  }

  @Override
  public void onMessage(M message) {
    received.add(new Message<>(message));
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    received.add(new End<>(status, trailers));
  }
}
