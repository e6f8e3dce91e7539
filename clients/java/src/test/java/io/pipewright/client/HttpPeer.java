package io.pipewright.client;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/** Answers each call as a proxy does: with HTTP/2, but not with gRPC, or not even with HTTP/2. */
final class HttpPeer implements AutoCloseable {
  private static final int PREFACE = 24;
  private static final int DATA = 0;
  private static final int HEADERS = 1;
  private static final int SETTINGS = 4;
  private static final int END_STREAM = 1;
  private static final int ACK = 1;
  private static final int END_HEADERS = 4;

  /** How many calls there were. */
  final AtomicInteger calls = new AtomicInteger();

  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final byte[] headers;
  private final byte[] body;

  /** Plays an answer; a content type that is empty is not sent. */
  static HttpPeer answering(int status, String contentType, String body) throws IOException {
    var fields = new ByteArrayOutputStream();
    field(fields, ":status", String.valueOf(status));
    if (!contentType.isEmpty()) {
      field(fields, "content-type", contentType);
    }
    return new HttpPeer(fields.toByteArray(), body.getBytes(UTF_8));
  }

  /** Says this to all who connect. */
  static HttpPeer greeting(byte... bytes) throws IOException {
    return new HttpPeer(null, bytes);
  }

  private HttpPeer(byte[] headers, byte[] body) throws IOException {
    this.headers = headers;
    this.body = body;
    start(this::accept);
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }

  /** A header field that is neither compressed nor in a table. */
  private static void field(ByteArrayOutputStream fields, String name, String value) {
    fields.write(0);
    for (String text : new String[] {name, value}) {
      fields.write(text.length());
      fields.writeBytes(text.getBytes(UTF_8));
    }
  }

  private static void start(Runnable task) {
    var thread = new Thread(task);
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listener.accept();
        start(() -> serve(client));
      }
    } catch (IOException e) {
      // This was closed.
    }
  }

  private void serve(Socket client) {
    try (client) {
      var in = new DataInputStream(client.getInputStream());
      var out = client.getOutputStream();
      if (headers == null) {
        out.write(body);
        in.transferTo(OutputStream.nullOutputStream());
      } else {
        in.readNBytes(PREFACE);
        frame(out, SETTINGS, 0, 0);
        while (true) {
          answer(in, out);
        }
      }
    } catch (IOException e) {
      // The client has left.
    }
  }

  private void answer(DataInputStream in, OutputStream out) throws IOException {
    int length = in.readUnsignedShort() << 8 | in.readUnsignedByte();
    int type = in.readUnsignedByte();
    int flags = in.readUnsignedByte();
    int stream = in.readInt();
    in.readNBytes(length);
    if (type == SETTINGS && (flags & ACK) == 0) {
      frame(out, SETTINGS, ACK, 0);
    } else if (type == DATA && (flags & END_STREAM) != 0) {
      calls.incrementAndGet();
      frame(out, HEADERS, END_HEADERS | (body.length == 0 ? END_STREAM : 0), stream, headers);
      if (body.length > 0) {
        frame(out, DATA, END_STREAM, stream, body);
      }
    }
  }

  private static void frame(OutputStream out, int type, int flags, int stream, byte... payload)
      throws IOException {
    ByteBuffer frame = ByteBuffer.allocate(9 + payload.length);
    frame.put((byte) 0).putShort((short) payload.length).put((byte) type).put((byte) flags);
    out.write(frame.putInt(stream).put(payload).array());
    out.flush();
  }
}
