package io.pipewright.client;

import static io.pipewright.client.FakeService.answer;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status.Code;
import io.grpc.TlsServerCredentials;
import io.grpc.TlsServerCredentials.ClientAuth;
import io.pipewright.v1.GetJobRequest;
import io.pipewright.v1.GetJobResponse;
import io.pipewright.v1.JobServiceGrpc;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import okhttp3.tls.HeldCertificate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TlsTest {
  private static final HeldCertificate AUTHORITY =
      new HeldCertificate.Builder().certificateAuthority(0).build();
  private static final HeldCertificate SERVICE =
      new HeldCertificate.Builder()
          .addSubjectAlternativeName("ci.test")
          .signedBy(AUTHORITY)
          .build();
  private static final HeldCertificate CLIENT =
      new HeldCertificate.Builder().commonName("ada").signedBy(AUTHORITY).build();
  private static final HeldCertificate STRANGER =
      new HeldCertificate.Builder().commonName("ada").build();

  private FakeService service;

  @BeforeEach
  void start() throws Exception {
    var credentials =
        TlsServerCredentials.newBuilder()
            .keyManager(pem(SERVICE.certificatePem()), pem(SERVICE.privateKeyPkcs8Pem()))
            .trustManager(pem(AUTHORITY.certificatePem()))
            .clientAuth(ClientAuth.REQUIRE)
            .build();
    service = new FakeService(0, credentials);
    service.on(JobServiceGrpc.getGetJobMethod(), answer(GetJobResponse.getDefaultInstance()));
  }

  @AfterEach
  void stop() {
    service.close();
  }

  @Test
  void bothSidesShowTheirCertificates() {
    call(builder().caCertificates(bytes(AUTHORITY)).serverName("ci.test"), CLIENT);
  }

  @Test
  void authoritiesMayBeSeveral() {
    byte[] both = (STRANGER.certificatePem() + AUTHORITY.certificatePem()).getBytes(US_ASCII);
    call(builder().caCertificates(both).serverName("ci.test"), CLIENT);
  }

  @Test
  void authorityOfTheServiceHasToBeTrusted() {
    assertRefused(builder().serverName("ci.test"), CLIENT);
    assertRefused(builder().caCertificates(bytes(STRANGER)).serverName("ci.test"), CLIENT);
  }

  @Test
  void nameInTheCertificateHasToBeTheOneThatIsExpected() {
    assertRefused(builder().caCertificates(bytes(AUTHORITY)), CLIENT);
    assertRefused(builder().caCertificates(bytes(AUTHORITY)).serverName("other.test"), CLIENT);
  }

  @Test
  void certificateOfTheClientHasToBeTrusted() {
    assertRefused(builder().caCertificates(bytes(AUTHORITY)).serverName("ci.test"), STRANGER);
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1:1", "http://127.0.0.1:1"})
  void optionsOfTlsAreNotIgnoredWithoutIt(String address) {
    for (var builder :
        new ClientBuilder[] {
          PipewrightClient.builder(address).caCertificates(bytes(AUTHORITY)),
          PipewrightClient.builder(address).clientCertificate(bytes(CLIENT), key(CLIENT)),
          PipewrightClient.builder(address).serverName("ci.test"),
        }) {
      assertThrows(IllegalArgumentException.class, builder::build);
    }
  }

  @Test
  void whatIsNoCertificateOrKeyIsRefusedAndNotRepeated() {
    byte[] none = "s3cret".getBytes(US_ASCII);
    assertUnusable(builder().caCertificates(none));
    assertUnusable(builder().clientCertificate(none, key(CLIENT)));
    assertUnusable(builder().clientCertificate(bytes(CLIENT), none));
  }

  private ClientBuilder builder() {
    return FakeService.impatient(PipewrightClient.builder("https://127.0.0.1:" + service.port()));
  }

  private static void call(ClientBuilder builder, HeldCertificate as) {
    try (var client = builder.clientCertificate(bytes(as), key(as)).build()) {
      client.jobs().getJob(GetJobRequest.getDefaultInstance());
    }
  }

  private static void assertRefused(ClientBuilder builder, HeldCertificate as) {
    var error = assertThrows(PipewrightException.class, () -> call(builder, as));
    assertEquals(Code.UNAVAILABLE, error.code());
  }

  private static void assertUnusable(ClientBuilder builder) {
    var error = assertThrows(IllegalArgumentException.class, () -> builder.build().close());
    assertFalse(error.toString().contains("s3cret"), error.toString());
  }

  private static byte[] bytes(HeldCertificate certificate) {
    return certificate.certificatePem().getBytes(US_ASCII);
  }

  private static byte[] key(HeldCertificate certificate) {
    return certificate.privateKeyPkcs8Pem().getBytes(US_ASCII);
  }

  private static InputStream pem(String text) {
    return new ByteArrayInputStream(text.getBytes(US_ASCII));
  }
}
