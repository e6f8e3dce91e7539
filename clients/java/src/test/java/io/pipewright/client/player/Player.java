package io.pipewright.client.player;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.google.protobuf.util.JsonFormat;
import io.pipewright.client.JobUpdate;
import io.pipewright.client.LogPiece;
import io.pipewright.client.PipewrightClient;
import io.pipewright.client.PipewrightException;
import io.pipewright.v1.Job;
import io.pipewright.v1.ReadStageLogRequest;
import io.pipewright.v1.WatchJobRequest;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Executes the commands from standard input; clients/conformance/README.md has its protocol. */
public final class Player {
  private static final JsonFormat.Printer PRINTER =
      JsonFormat.printer().omittingInsignificantWhitespace();

  private PipewrightClient client;

  private Player() {}

  /** Runs until its input ends. */
  public static void main(String[] arguments) throws IOException {
    var player = new Player();
    var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      var said = Struct.newBuilder();
      JsonFormat.parser().merge(line, said);
      try {
        player.play(new Said(said.build()));
      } catch (PipewrightException e) {
        answer("error", print(Errors.toStruct(e)));
      }
    }
    player.disconnect();
  }

  private void play(Said said) throws IOException {
    if (said.has("connect")) {
      connect(said.inner("connect"));
    } else if (said.has("close")) {
      client.close();
      answer("closed", "{}");
    } else if (said.has("call")) {
      Optional<Integer> timeout = said.number("timeout_ms").map(Double::intValue);
      Message response = Calls.make(client, said.text("call"), said.json("request"), timeout);
      answer("response", print(response));
    } else if (said.has("watch")) {
      watch(said.into("watch", WatchJobRequest.newBuilder()).build());
    } else if (said.has("read_log")) {
      var request = said.into("read_log", ReadStageLogRequest.newBuilder()).build();
      readLog(request, Path.of(said.text("to")));
    } else {
      throw new IllegalArgumentException("not understood: " + said);
    }
  }

  private void connect(Said options) throws IOException {
    disconnect();
    var builder = PipewrightClient.builder(options.text("address"));
    if (options.has("token")) {
      builder.token(options.text("token"));
    }
    if (options.has("username")) {
      builder.basicAuth(options.text("username"), options.text("password"));
    }
    if (options.has("ca_certificate")) {
      builder.caCertificates(Files.readAllBytes(Path.of(options.text("ca_certificate"))));
    }
    client = builder.build();
    answer("connected", "{}");
  }

  private void disconnect() {
    if (client != null) {
      client.close();
    }
  }

  private void watch(WatchJobRequest request) throws InvalidProtocolBufferException {
    try (var watch = client.watchJob(request)) {
      for (JobUpdate update : watch) {
        if (update instanceof JobUpdate.Event event) {
          answer("event", print(event.event()));
        } else if (update instanceof JobUpdate.Snapshot snapshot) {
          answer("snapshot", print(snapshot.snapshot()));
        }
        Optional<Job> ended = update.ended();
        if (ended.isPresent()) {
          answer("ended", print(ended.get()));
        }
      }
    }
  }

  private void readLog(ReadStageLogRequest request, Path to) throws IOException {
    try (var log = client.readLog(request);
        var file = Files.newOutputStream(to)) {
      for (LogPiece piece : log) {
        give(piece, file);
      }
    }
    answer("log_end", "{}");
  }

  private static void give(LogPiece piece, OutputStream file) throws IOException {
    if (piece instanceof LogPiece.Bytes bytes) {
      bytes.data().writeTo(file);
      answer("chunk", "{\"offset\":%d,\"size\":%d}".formatted(bytes.offset(), bytes.data().size()));
    } else if (piece instanceof LogPiece.Gap gap) {
      answer(
          "gap",
          "{\"start_offset\":%d,\"end_offset\":%d}".formatted(gap.startOffset(), gap.endOffset()));
    }
  }

  private static String print(MessageOrBuilder message) throws InvalidProtocolBufferException {
    return PRINTER.print(message);
  }

  private static void answer(String key, String json) {
    System.out.printf("{\"%s\":%s}%n", key, json);
    System.out.flush();
  }

  /** One line, or a part of it. */
  private record Said(Struct line) {
    boolean has(String key) {
      return line.containsFields(key);
    }

    String text(String key) {
      return line.getFieldsOrThrow(key).getStringValue();
    }

    Optional<Double> number(String key) {
      return Optional.ofNullable(line.getFieldsMap().get(key)).map(Value::getNumberValue);
    }

    Said inner(String key) {
      return new Said(line.getFieldsOrThrow(key).getStructValue());
    }

    String json(String key) throws InvalidProtocolBufferException {
      return print(line.getFieldsOrThrow(key).getStructValue());
    }

    <B extends Message.Builder> B into(String key, B builder)
        throws InvalidProtocolBufferException {
      JsonFormat.parser().merge(json(key), builder);
      return builder;
    }
  }
}
