package io.pipewright.client;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Forwards bytes to a service on loopback, and resets its first connections. */
final class CuttingProxy implements AutoCloseable {
  /** The number of connections so far. */
  final AtomicInteger connections = new AtomicInteger();

  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final ExecutorService threads =
      Executors.newCachedThreadPool(
          task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
          });
  private final int service;
  private final int cuts;
  private final int answered;

  /** Cuts this many connections, each after this many bytes of responses. */
  CuttingProxy(FakeService service, int cuts, int answered) throws IOException {
    this.service = service.port();
    this.cuts = cuts;
    this.answered = answered;
    threads.execute(this::accept);
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  @Override
  public void close() throws IOException {
    listener.close();
    threads.shutdownNow();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listener.accept();
        Socket to = new Socket(InetAddress.getLoopbackAddress(), service);
        int left = connections.incrementAndGet() <= cuts ? answered : Integer.MAX_VALUE;
        threads.execute(() -> pass(client, to, Integer.MAX_VALUE));
        threads.execute(() -> pass(to, client, left));
      }
    } catch (IOException e) {
      // It was closed.
    }
  }

  private static void pass(Socket from, Socket to, int most) {
    try (from;
        to) {
      InputStream in = from.getInputStream();
      byte[] buffer = new byte[4096];
      int left = most;
      while (left > 0) {
        int count = in.read(buffer, 0, Math.min(buffer.length, left));
        if (count < 0) {
          return;
        }
        to.getOutputStream().write(buffer, 0, count);
        left -= count;
      }
      reset(from);
      reset(to);
    } catch (IOException e) {
      // The other direction has ended.
    }
  }

  /** Makes the close send a reset, like a router that lost the connection's state. */
  private static void reset(Socket socket) throws IOException {
    socket.setOption(StandardSocketOptions.SO_LINGER, 0);
  }
}
