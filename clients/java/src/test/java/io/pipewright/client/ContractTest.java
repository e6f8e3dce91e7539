package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.pipewright.runner.v1.LeaseServiceGrpc;
import io.pipewright.v1.AdminServiceGrpc;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.PipelineServiceGrpc;
import io.pipewright.v1.ProjectServiceGrpc;
import io.pipewright.v1.RunnerServiceGrpc;
import java.lang.reflect.InvocationTargetException;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Checks the handwritten methods against the contract. */
class ContractTest {
  private static final ServiceDescriptor PIPELINES = PipelineServiceGrpc.getServiceDescriptor();
  private static final ServiceDescriptor JOBS = JobServiceGrpc.getServiceDescriptor();
  private static final ServiceDescriptor RUNNERS = RunnerServiceGrpc.getServiceDescriptor();
  private static final ServiceDescriptor PROJECTS = ProjectServiceGrpc.getServiceDescriptor();
  private static final ServiceDescriptor ADMIN = AdminServiceGrpc.getServiceDescriptor();
  private static final ServiceDescriptor LEASES = LeaseServiceGrpc.getServiceDescriptor();

  static Stream<MethodDescriptor<?, ?>> unaryMethods() {
    return methods().filter(method -> method.getType() == MethodType.UNARY);
  }

  @ParameterizedTest
  @MethodSource("unaryMethods")
  <Q extends Message, R extends Message> void everyUnaryMethodCanBeCalled(
      MethodDescriptor<Q, R> method) throws Throwable {
    try (var service = new FakeService();
        var client = service.client()) {
      R response = prototype(method.getResponseMarshaller());
      var calls = service.on(method, FakeService.answer(response));
      assertEquals(response, call(client, method));
      assertEquals(1, calls.requests().size());
    }
  }

  @ParameterizedTest
  @MethodSource("unaryMethods")
  <Q extends Message, R extends Message> void everyErrorIsOurs(MethodDescriptor<Q, R> method)
      throws Exception {
    try (var service = new FakeService();
        var client = service.client()) {
      service.on(method, FakeService.fail(Status.ABORTED));
      var error = assertThrows(PipewrightException.class, () -> call(client, method));
      assertEquals(Status.Code.ABORTED, error.code());
    }
  }

  @Test
  void everyStreamIsKnown() {
    Set<String> streams =
        methods()
            .filter(method -> method.getType() != MethodType.UNARY)
            .map(MethodDescriptor::getBareMethodName)
            .collect(Collectors.toSet());
    assertEquals(Set.of("WatchJob", "ReadStageLog"), streams); // watchJob and readLog
  }

  private static Stream<MethodDescriptor<?, ?>> methods() {
    return Stream.of(PIPELINES, JOBS, RUNNERS, PROJECTS, ADMIN, LEASES)
        .flatMap(service -> service.getMethods().stream());
  }

  private static <Q extends Message> Object call(
      PipewrightClient client, MethodDescriptor<Q, ?> method) throws Throwable {
    Object service = service(client, method);
    Q request = prototype(method.getRequestMarshaller());
    String bare = method.getBareMethodName();
    String name = Character.toLowerCase(bare.charAt(0)) + bare.substring(1);
    try {
      return service.getClass().getMethod(name, request.getClass()).invoke(service, request);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  private static Object service(PipewrightClient client, MethodDescriptor<?, ?> method) {
    return switch (method.getServiceName()) {
      case "pipewright.v1.PipelineService" -> client.pipelines();
      case "pipewright.v1.JobService" -> client.jobs();
      case "pipewright.v1.RunnerService" -> client.runners();
      case "pipewright.v1.ProjectService" -> client.projects();
      case "pipewright.v1.AdminService" -> client.admin();
      default -> client.leases();
    };
  }

  private static <T> T prototype(MethodDescriptor.Marshaller<T> marshaller) {
    return ((PrototypeMarshaller<T>) marshaller).getMessagePrototype();
  }
}
