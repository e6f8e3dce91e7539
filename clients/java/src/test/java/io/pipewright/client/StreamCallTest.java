package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.WatchJobResponse;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class StreamCallTest {
  private int wanted;

  /** So the service waits for a slow reader, and unread messages are not buffered. */
  @Test
  void asksForTheNextMessageOnceOneIsRead() throws Exception {
    var call =
        StreamCall.open(new Counting(), JobServiceGrpc.getWatchJobMethod(), Messages.after(0));
    assertEquals(1, wanted);
    for (int read = 1; read <= 3; read++) {
      call.onMessage(WatchJobResponse.getDefaultInstance());
      assertEquals(read, wanted);
      call.next(Duration.ofSeconds(20));
      assertEquals(read + 1, wanted);
    }
  }

  /** Counts the requested messages. */
  private final class Counting extends Channel {
    @Override
    public <Q, R> ClientCall<Q, R> newCall(MethodDescriptor<Q, R> method, CallOptions options) {
      return new ClientCall<>() {
        @Override
        public void start(Listener<R> listener, Metadata headers) {}

        @Override
        public void request(int messages) {
          wanted += messages;
        }

        @Override
        public void cancel(String message, Throwable cause) {}

        @Override
        public void halfClose() {}

        @Override
        public void sendMessage(Q message) {}
      };
    }

    @Override
    public String authority() {
      return "localhost";
    }
  }
}
