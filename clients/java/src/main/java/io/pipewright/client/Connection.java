package io.pipewright.client;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** What all calls of a client share: one connection at a time, and who makes them. */
final class Connection implements AutoCloseable {
  private final ManagedChannel transport;
  private final Channel channel;

  /** Connects with the first call. {@code serverName} may be null. */
  Connection(
      Address address,
      ChannelCredentials security,
      String serverName,
      Optional<Credentials> credentials) {
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilderForAddress(address.host(), address.port(), security)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(20, TimeUnit.SECONDS)
            // Calls are repeated by Caller, which tells what this cannot.
            .disableRetry();
    if (serverName != null) {
      builder.overrideAuthority(serverName);
    }
    transport = builder.build();
    channel =
        credentials
            .map(each -> ClientInterceptors.intercept(transport, each.interceptor()))
            .orElse(transport);
  }

  /** Where calls are made, with the credentials. */
  Channel channel() {
    return channel;
  }

  /**
   * Has the next call connect at once where the last attempt to connect failed. The library would
   * wait for 1 s to 120 s and fail all calls meanwhile; who tries again here has paused already.
   */
  void wake() {
    if (transport.getState(false) == ConnectivityState.TRANSIENT_FAILURE) {
      transport.enterIdle();
    }
  }

  boolean isClosed() {
    return transport.isShutdown();
  }

  /** Ends all calls that are still open. */
  @Override
  public void close() {
    transport.shutdownNow();
  }
}
