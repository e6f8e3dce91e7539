package io.pipewright.client;

import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.atomic.AtomicInteger;

/** Responds to the first call of each connection with bytes of HTTP/2, and closes it. */
final class RawService implements AutoCloseable {
  private static final int PREFACE = 24;
  private static final int HEADERS = 1;
  private static final byte[] SETTINGS = {0, 0, 0, 4, 0, 0, 0, 0, 0};

  /** The number of connections so far. */
  final AtomicInteger connections = new AtomicInteger();

  private final ServerSocket listener;
  private final byte[] answer;

  RawService(int port, byte... answer) throws IOException {
    listener = new ServerSocket(port, 50, InetAddress.getLoopbackAddress());
    this.answer = answer;
    var thread = new Thread(this::accept);
    thread.setDaemon(true);
    thread.start();
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try (Socket client = listener.accept()) {
        connections.incrementAndGet();
        play(client);
      } catch (IOException e) {
        // The client has left, or this was closed.
      }
    }
  }

  private void play(Socket client) throws IOException {
    var in = new DataInputStream(client.getInputStream());
    in.readNBytes(PREFACE);
    client.getOutputStream().write(SETTINGS);
    int type;
    do {
      int length = in.readUnsignedShort() << 8 | in.readUnsignedByte();
      type = in.readUnsignedByte();
      in.readNBytes(1 + 4 + length);
    } while (type != HEADERS);
    client.getOutputStream().write(answer);
  }
}
