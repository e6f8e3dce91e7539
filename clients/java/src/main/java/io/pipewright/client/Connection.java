package io.pipewright.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ForwardingClientCallListener.SimpleForwardingClientCallListener;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.Status.Code;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Shared by all calls of a client: one connection at a time, and the credentials. */
final class Connection implements AutoCloseable {
  /** The error of calls that are open when the client is closed, and of later ones. */
  static final Status CLOSED = Status.CANCELLED.withDescription("the client is closed");

  private final ManagedChannel transport;
  private final Channel channel;
  private final Gate gate;
  private final NotGrpc notGrpc;

  /** The pauses in progress. */
  private final Set<CountDownLatch> pauses = ConcurrentHashMap.newKeySet();

  /** Connects with the first call. {@code serverName} may be null. */
  Connection(
      Address address,
      ChannelCredentials security,
      String serverName,
      Optional<Credentials> credentials,
      Gate gate) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilderForAddress(address.host(), address.port(), security)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(20, TimeUnit.SECONDS)
            // Caller retries calls; it distinguishes errors that this cannot.
            .disableRetry();
    if (serverName != null) {
      builder.overrideAuthority(serverName);
    }
    this.gate = gate;
    notGrpc = new NotGrpc(address.hostPort());
    transport = builder.build();
    Channel heard = ClientInterceptors.intercept(transport, new Hearing());
    channel =
        credentials
            .map(each -> ClientInterceptors.intercept(heard, each.interceptor()))
            .orElse(heard);
  }

  /** The channel for calls, with the credentials. */
  Channel channel() {
    return channel;
  }

  /**
   * Connects after the shared pause, unless that is done or in progress. The library would wait for
   * 1 s to 120 s after a failure, fail all calls meanwhile, and reconnect without a pause after a
   * broken connection.
   */
  void connect(Context context, Optional<Deadline> limit) throws InterruptedException {
    long wait = attempt();
    while (wait > 0 && !isOver(context, limit)) {
      pause(Duration.ofNanos(wait), context, limit);
      wait = attempt();
    }
  }

  /** Waits for a pause, or until the context, the limit or the client ends. */
  void pause(Duration pause, Context context, Optional<Deadline> limit)
      throws InterruptedException {
    long wanted = NANOSECONDS.convert(pause);
    long left = limit.map(each -> each.timeRemaining(NANOSECONDS)).orElse(wanted);
    var end = new CountDownLatch(1);
    Context.CancellationListener listener = ignored -> end.countDown();
    context.addListener(listener, Runnable::run);
    pauses.add(end);
    try {
      // In this order: close sets the flag first and ends the pauses afterwards.
      if (!isClosed()) {
        end.await(Math.min(wanted, left), NANOSECONDS);
      }
    } finally {
      pauses.remove(end);
      context.removeListener(listener);
    }
  }

  boolean isClosed() {
    return transport.isShutdown();
  }

  /** Ends all calls that are still open, and all pauses. */
  @Override
  public void close() {
    transport.shutdownNow();
    pauses.forEach(CountDownLatch::countDown);
  }

  /** Nanoseconds until the next attempt to connect is allowed. */
  private synchronized long attempt() {
    ConnectivityState state = transport.getState(false);
    boolean isBroken = state == ConnectivityState.TRANSIENT_FAILURE;
    if (!isBroken && state != ConnectivityState.IDLE) {
      return 0;
    }
    long wait = gate.enter();
    if (wait == 0) {
      if (isBroken) {
        transport.enterIdle();
      }
      // Immediately, so that the next caller sees that it is in progress.
      transport.getState(true);
    }
    return wait;
  }

  private boolean isOver(Context context, Optional<Deadline> limit) {
    return isClosed() || context.isCancelled() || limit.map(Deadline::isExpired).orElse(false);
  }

  /** Records whether the connection works, and converts the library's errors. */
  private final class Hearing implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(
        MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
      return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
        @Override
        public void start(Listener<R> listener, Metadata headers) {
          super.start(new Ear<>(listener), headers);
        }
      };
    }
  }

  private Status explain(Status status, Metadata trailers) {
    Status explained = OwnErrors.explain(status);
    return notGrpc.explain(explained, trailers).orElse(explained);
  }

  private final class Ear<R> extends SimpleForwardingClientCallListener<R> {
    Ear(ClientCall.Listener<R> listener) {
      super(listener);
    }

    @Override
    public void onMessage(R message) {
      gate.reset();
      super.onMessage(message);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
      boolean isOurs = isClosed() && status.getCode() == Code.UNAVAILABLE;
      super.onClose(isOurs ? CLOSED : explain(status, trailers), trailers);
    }
  }
}
