package io.pipewright.client.player;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.pipewright.client.PipewrightClient;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Optional;
import java.util.stream.Stream;

/** Makes unary calls by their names in the contract. */
final class Calls {
  private Calls() {}

  static Message make(PipewrightClient client, String name, String json, Optional<Integer> timeout)
      throws InvalidProtocolBufferException {
    Object service = service(client, name, timeout.map(Duration::ofMillis));
    Method call = find(service, name).orElseThrow();
    try {
      Class<?> request = call.getParameterTypes()[0];
      var builder = (Message.Builder) request.getMethod("newBuilder").invoke(null);
      JsonFormat.parser().merge(json, builder);
      return (Message) call.invoke(service, builder.build());
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw new IllegalStateException(e);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Object service(PipewrightClient client, String name, Optional<Duration> timeout) {
    var pipelines = client.pipelines();
    var jobs = client.jobs();
    var runners = client.runners();
    var projects = client.projects();
    var admin = client.admin();
    return Stream.of(
            timeout.map(pipelines::withTimeout).orElse(pipelines),
            timeout.map(jobs::withTimeout).orElse(jobs),
            timeout.map(runners::withTimeout).orElse(runners),
            timeout.map(projects::withTimeout).orElse(projects),
            timeout.map(admin::withTimeout).orElse(admin))
        .filter(service -> find(service, name).isPresent())
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("there is no call " + name));
  }

  private static Optional<Method> find(Object service, String name) {
    return Stream.of(service.getClass().getMethods())
        .filter(method -> method.getName().equalsIgnoreCase(name))
        .findFirst();
  }
}
