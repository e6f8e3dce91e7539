package io.pipewright.client;

import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.Status.Code;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reports an answer that is not gRPC, such as a page of a proxy, as what it is. */
final class NotGrpc {
  private static final int LONGEST_EXCERPT = 80;

  private static final Metadata.Key<String> CONTENT_TYPE =
      Metadata.Key.of("content-type", Metadata.ASCII_STRING_MARSHALLER);

  /** What the library says of such an answer, with the body at the end. */
  private static final Pattern HTTP =
      Pattern.compile("HTTP status code (\\d+)(?:\\n.*?DATA-+\\n(.*))?.*", Pattern.DOTALL);

  private static final String NO_TRAILERS = "Received unexpected EOS on ";

  /** How the library begins to tell of a peer that does not speak HTTP/2. */
  private static final String NOT_HTTP2 =
      "First received frame was not SETTINGS. Hex dump for first 5 bytes: ";

  private static final String HTTP_SLASH = "485454502f";
  private static final String TLS_ALERT = "1503";
  private static final String PROXY = ": is there a proxy in between?";

  private static final int FLAGS = Pattern.CASE_INSENSITIVE | Pattern.DOTALL;
  private static final Pattern TITLE = Pattern.compile("<title[^>]*>\\s*([^<\\s][^<]*)", FLAGS);
  private static final Pattern HIDDEN =
      Pattern.compile("<(script|style)\\b.*?(</(script|style)\\s*>|$)|<!--.*?(-->|$)", FLAGS);
  private static final Pattern TAG = Pattern.compile("<[^>]*(>|$)", FLAGS);
  private static final Pattern UNSEEN = Pattern.compile("[\\p{C}\ufffd]");

  private final String host;

  /** For answers of this host and port. */
  NotGrpc(String host) {
    this.host = host;
  }

  /** The status for such an answer; nothing for others, and for those of the service itself. */
  Optional<Status> explain(Status status, Metadata trailers) {
    String said = Optional.ofNullable(status.getDescription()).orElse("");
    Matcher answer = HTTP.matcher(said);
    if (answer.matches()) {
      int httpStatus = Integer.parseInt(answer.group(1));
      String type = Optional.ofNullable(trailers.get(CONTENT_TYPE)).orElse("");
      return Optional.of(
          status
              .withDescription(answered(httpStatus, type, answer.group(2)))
              .withCause(new Answer(httpStatus)));
    }
    if (status.getCode() == Code.INTERNAL && said.startsWith(NO_TRAILERS)) {
      return Optional.of(status.withDescription(host + " answered without a gRPC status" + PROXY));
    }
    if (said.startsWith(NOT_HTTP2 + HTTP_SLASH)) {
      return Optional.of(
          status.withDescription(host + " speaks HTTP/1, but gRPC needs HTTP/2" + PROXY));
    }
    if (said.startsWith(NOT_HTTP2 + TLS_ALERT)) {
      return Optional.of(
          status.withDescription(
              host + " speaks TLS, but the address is without it: is it https://" + host + "?"));
    }
    return Optional.empty();
  }

  /** The HTTP status of the answer that a status was made of, if it was one. */
  static OptionalInt httpStatus(Status status) {
    return status.getCause() instanceof Answer answer
        ? OptionalInt.of(answer.httpStatus)
        : OptionalInt.empty();
  }

  private String answered(int httpStatus, String contentType, String body) {
    String type = clean(contentType.split(";", 2)[0]);
    String answer =
        "%s answered with HTTP %d (%s)"
            .formatted(host, httpStatus, type.isEmpty() ? "no content type" : type);
    if (type.startsWith("application/grpc")) {
      return answer + " without a gRPC status" + PROXY;
    }
    String excerpt = excerpt(body == null ? "" : body);
    return answer
        + ", which is not gRPC"
        + PROXY
        + (excerpt.isEmpty() ? "" : " It says: " + excerpt);
  }

  /** The title of a page, or the first line of text. */
  private static String excerpt(String body) {
    Matcher title = TITLE.matcher(body);
    if (title.find()) {
      return clean(title.group(1));
    }
    String text =
        body.stripLeading().startsWith("<")
            ? TAG.matcher(HIDDEN.matcher(body).replaceAll("")).replaceAll("\n")
            : body;
    return text.lines().map(NotGrpc::clean).filter(line -> !line.isEmpty()).findFirst().orElse("");
  }

  /** Text in one line, safe for a terminal. */
  private static String clean(String text) {
    String line = UNSEEN.matcher(text.replaceAll("[\\s\\p{Z}]+", " ")).replaceAll("").strip();
    if (line.codePointCount(0, line.length()) <= LONGEST_EXCERPT) {
      return line;
    }
    return line.substring(0, line.offsetByCodePoints(0, LONGEST_EXCERPT - 1)) + "…";
  }

  /** Carries the HTTP status to the typed error; not thrown. */
  private static final class Answer extends Exception {
    private static final long serialVersionUID = 1L;

    private final int httpStatus;

    Answer(int httpStatus) {
      super("HTTP status " + httpStatus, null, false, false);
      this.httpStatus = httpStatus;
    }
  }
}
