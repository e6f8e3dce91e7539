package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static io.pipewright.client.FakeService.fail;
import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Metadata;
import io.grpc.Status;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.JobServiceGrpc;
import io.pipewright.v1.ReadStageLogResponse;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CredentialsTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  @Test
  void tokenIsSentWithEveryCall() throws Exception {
    assertEquals("Bearer t0k-_.~+/=", sent(client -> client.token("t0k-_.~+/=")));
  }

  @Test
  void nameAndPasswordAreSentAsInTheExampleOfTheStandard() throws Exception {
    String header = sent(client -> client.basicAuth("Aladdin", "open sesame"));
    assertEquals("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", header);
  }

  @Test
  void textIsUtf8AndPasswordsMayHaveColons() throws Exception {
    assertEquals("Basic YTpwOnEgw6k=", sent(client -> client.basicAuth("a", "p:q \u00e9")));
  }

  @Test
  void nothingIsSentForNobody() throws Exception {
    assertNull(sent(client -> client));
  }

  @Test
  void streamsCarryThemToo() throws Exception {
    try (var service = new FakeService();
        var client = PipewrightClient.builder(service.address()).token("t").build()) {
      service.on(JobServiceGrpc.getReadStageLogMethod(), answer(new ReadStageLogResponse[0]));
      assertFalse(client.readLog("job", "stage").iterator().hasNext());
      assertEquals("Bearer t", service.headers.get(0).get(AUTHORIZATION));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"http://10.0.0.1:1", "ci.test", "localhost.test:1"})
  void doNotCrossNetworksInTheClear(String address) {
    var bearer = PipewrightClient.builder(address).token("s3cret");
    var error = assertThrows(IllegalArgumentException.class, bearer::build);
    assertFalse(error.getMessage().contains("s3cret"));
    var basic = PipewrightClient.builder(address).basicAuth("ada", "s3cret");
    assertThrows(IllegalArgumentException.class, basic::build);
    bearer.insecure().build().close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://ci.test",
        "localhost:1",
        "127.1.2.3:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
      })
  void goToLoopbackAndThroughTls(String address) {
    PipewrightClient.builder(address).token("s3cret").build().close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "a b", "secret\n", "s\u00e9cret"})
  void tokenThatCannotBeSentIsNotRepeated(String token) {
    var builder = PipewrightClient.builder("127.0.0.1:1");
    var error = assertThrows(IllegalArgumentException.class, () -> builder.token(token));
    assertFalse(error.getMessage().contains("cret"));
  }

  @Test
  void namesAndPasswordsThatCannotBeSentAreRefused() {
    var builder = PipewrightClient.builder("127.0.0.1:1");
    assertThrows(IllegalArgumentException.class, () -> builder.basicAuth("a:b", "p"));
    assertThrows(IllegalArgumentException.class, () -> builder.basicAuth("", "p"));
    assertThrows(IllegalArgumentException.class, () -> builder.basicAuth("a\r", "p"));
    assertThrows(IllegalArgumentException.class, () -> builder.basicAuth("a", "p\n"));
  }

  @Test
  void variablesThatAreNotSetAreRefusedByName() {
    var builder = PipewrightClient.builder("127.0.0.1:1");
    assertRefused("the token is null", () -> builder.token(null));
    assertRefused("the username is null", () -> builder.basicAuth(null, "p"));
    assertRefused("the password is null", () -> builder.basicAuth("a", null));
  }

  private static void assertRefused(String why, Executable action) {
    assertEquals(why, assertThrows(IllegalArgumentException.class, action).getMessage());
  }

  @Test
  void areInNoTextThatAnythingHas() throws Exception {
    var builder = PipewrightClient.builder("127.0.0.1:1").basicAuth("ada", "s3cret");
    try (var service = new FakeService();
        var client = PipewrightClient.builder(service.address()).token("s3cret").build()) {
      service.on(JobServiceGrpc.getGetJobMethod(), fail(Status.UNAUTHENTICATED));
      var error =
          assertThrows(
              PipewrightException.class,
              () -> client.jobs().getJob(GetJobRequest.getDefaultInstance()));
      var trace = new StringWriter();
      error.printStackTrace(new PrintWriter(trace));
      assertAll(
          () -> assertHidden(trace.toString()),
          () -> assertHidden(builder.toString()),
          () -> assertHidden(client.toString()),
          () -> assertHidden(client.jobs().toString()),
          () -> assertHidden(client.channel().toString()),
          () -> assertHidden(Credentials.bearer("s3cret").toString()));
      assertEquals("PipewrightClient[http://" + service.address() + "]", client.toString());
    }
  }

  private static void assertHidden(String text) {
    assertFalse(text.contains("s3cret"), text);
  }

  private static String sent(UnaryOperator<ClientBuilder> as) throws Exception {
    try (var service = new FakeService();
        var client = as.apply(PipewrightClient.builder(service.address())).build()) {
      service.on(JobServiceGrpc.getGetJobMethod(), answer(GetJobResponse.getDefaultInstance()));
      client.jobs().getJob(GetJobRequest.getDefaultInstance());
      return service.headers.get(0).get(AUTHORIZATION);
    }
  }
}
