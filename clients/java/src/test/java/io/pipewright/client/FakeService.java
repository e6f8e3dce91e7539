package io.pipewright.client;

import com.google.protobuf.Any;
import com.google.protobuf.util.Durations;
import com.google.rpc.RetryInfo;
import io.grpc.HandlerRegistry;
import io.grpc.InsecureServerCredentials;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerInterceptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/** A service on a free port of loopback that a test scripts. */
@SuppressWarnings("varargs") // Their arrays are only read.
final class FakeService implements AutoCloseable {
  /** How the service handles one call. */
  @FunctionalInterface
  interface Step<Q, R> {
    void play(Q request, ServerCallStreamObserver<R> answer) throws Exception;
  }

  /** The calls of a method. */
  record Calls<Q>(List<Q> requests, BlockingQueue<Q> begun, BlockingQueue<Q> cancelled) {
    Calls() {
      this(new CopyOnWriteArrayList<>(), new LinkedBlockingQueue<>(), new LinkedBlockingQueue<>());
    }

    /** Waits until a client has made a call. */
    Q awaitCall() throws InterruptedException {
      return begun.poll(20, TimeUnit.SECONDS);
    }

    /** Waits until a client has cancelled a call. */
    Q awaitCancel() throws InterruptedException {
      return cancelled.poll(20, TimeUnit.SECONDS);
    }
  }

  /** A refusal that requests a pause. */
  static final StatusRuntimeException RETRY_IN_AN_HOUR =
      StatusProto.toStatusRuntimeException(
          com.google.rpc.Status.newBuilder()
              .setCode(Status.Code.UNAVAILABLE.value())
              .setMessage("come back later")
              .addDetails(
                  Any.pack(RetryInfo.newBuilder().setRetryDelay(Durations.fromHours(1)).build()))
              .build());

  /** The headers of all calls. */
  final List<Metadata> headers = new CopyOnWriteArrayList<>();

  /** It logs a warning for each client that leaves early, as in many tests; a strong reference. */
  private static final Logger WARNINGS =
      Logger.getLogger("io.grpc.netty.shaded.io.grpc.netty.NettyServerHandler");

  static {
    WARNINGS.setLevel(Level.SEVERE);
  }

  private final Map<String, ServerMethodDefinition<?, ?>> methods = new ConcurrentHashMap<>();
  private final Server server;
  private final int port;

  FakeService() throws IOException {
    this(0, InsecureServerCredentials.create());
  }

  FakeService(int at, ServerCredentials credentials) throws IOException {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", at), credentials)
            .fallbackHandlerRegistry(new Methods())
            .intercept(new HeaderNotes())
            .build()
            .start();
    port = server.getPort();
  }

  /** Plays a step for each call of the method, the last one for all later calls. */
  @SafeVarargs
  final <Q, R> Calls<Q> on(MethodDescriptor<Q, R> method, Step<Q, R>... steps) {
    Calls<Q> calls = new Calls<>();
    List<Step<Q, R>> script = List.of(steps);
    ServerCallHandler<Q, R> handler =
        method.getType() == MethodType.UNARY
            ? ServerCalls.asyncUnaryCall((request, answer) -> play(script, calls, request, answer))
            : ServerCalls.asyncServerStreamingCall(
                (request, answer) -> play(script, calls, request, answer));
    methods.put(method.getFullMethodName(), ServerMethodDefinition.create(method, handler));
    return calls;
  }

  int port() {
    return port;
  }

  String address() {
    return "127.0.0.1:" + port();
  }

  /** A client of this service with very short pauses. */
  PipewrightClient client() {
    return impatient(PipewrightClient.builder(address())).build();
  }

  static ClientBuilder impatient(ClientBuilder builder) {
    return builder.pauses(Duration.ofMillis(1), Duration.ofMillis(20));
  }

  /** Stops, and releases the port. */
  void stop() throws InterruptedException {
    server.shutdownNow().awaitTermination();
  }

  @Override
  public void close() {
    server.shutdownNow();
  }

  /** Sends messages and ends without an error. */
  @SafeVarargs
  static <Q, R> Step<Q, R> answer(R... messages) {
    List<R> all = List.of(messages);
    return (request, answer) -> {
      all.forEach(answer::onNext);
      answer.onCompleted();
    };
  }

  /** Sends messages and stays silent. */
  @SafeVarargs
  static <Q, R> Step<Q, R> hold(R... messages) {
    List<R> all = List.of(messages);
    return (request, answer) -> all.forEach(answer::onNext);
  }

  /** Sends messages and ends with an error. */
  @SafeVarargs
  static <Q, R> Step<Q, R> fail(Status status, R... messages) {
    List<R> all = List.of(messages);
    return (request, answer) -> {
      all.forEach(answer::onNext);
      answer.onError(status.asRuntimeException());
    };
  }

  private static <Q, R> void play(
      List<Step<Q, R>> script, Calls<Q> calls, Q request, StreamObserver<R> observer) {
    var answer = (ServerCallStreamObserver<R>) observer;
    answer.setOnCancelHandler(() -> calls.cancelled().add(request));
    calls.requests().add(request);
    calls.begun().add(request);
    int turn = Math.min(calls.requests().size(), script.size()) - 1;
    try {
      script.get(turn).play(request, answer);
    } catch (Exception e) {
      answer.onError(Status.fromThrowable(e).asRuntimeException());
    }
  }

  private final class Methods extends HandlerRegistry {
    @Override
    public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
      return methods.get(name);
    }
  }

  private final class HeaderNotes implements ServerInterceptor {
    @Override
    public <Q, R> ServerCall.Listener<Q> interceptCall(
        ServerCall<Q, R> call, Metadata of, ServerCallHandler<Q, R> next) {
      headers.add(of);
      return next.startCall(call, of);
    }
  }
}
