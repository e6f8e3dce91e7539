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

/** Passes on bytes to a service of loopback, and resets its first connections. */
final class CuttingProxy implements AutoCloseable {
  /** How many connections there were. */
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

  /** Cuts each of so many connections once so many bytes of answers have passed. */
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

  /** Has its close send a reset, as a router does that has forgotten the connection. */
  private static void reset(Socket socket) throws IOException {
    socket.setOption(StandardSocketOptions.SO_LINGER, 0);
  }
}
