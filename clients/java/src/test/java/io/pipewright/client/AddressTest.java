package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AddressTest {
  @ParameterizedTest
  @CsvSource({
    "127.0.0.1:1, http://127.0.0.1:1",
    "http://ci.test:2/, http://ci.test:2",
    "ci.test, http://ci.test:80",
    "build_host:50051, http://build_host:50051",
    "[::1]:3, http://[::1]:3",
    "https://ci.test, https://ci.test:443",
    "https://ci.test:65535, https://ci.test:65535",
  })
  void isTakenWithAndWithoutSchemeAndPort(String text, String shown) {
    assertEquals(shown, Address.parse(text).toString());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "http://",
        ":50051",
        "a b",
        "::1:3",
        "[::g]:1",
        "[127.0.0.1]:1",
        "ci.test:0",
        "ci.test:65536",
        "ci.test:x",
        "ftp://ci.test",
        "http://http://ci.test",
        "https://ci.test/path",
        "https://ci.test?q",
        "https://ci.test/#f",
        "ci.test:1\n",
      })
  void isNothingElse(String text) {
    assertThrows(IllegalArgumentException.class, () -> Address.parse(text));
  }

  @ParameterizedTest
  @ValueSource(strings = {"https://me:secret@ci.test", "me:secret@ci.test:1", "secret://a@b"})
  void hasNoCredentialsAndDoesNotRepeatThem(String text) {
    var error = assertThrows(IllegalArgumentException.class, () -> Address.parse(text));
    assertFalse(error.getMessage().contains("secret"), error.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "127.0.0.1:1",
        "127.9.255.9:1",
        "[::1]:1",
        "[0:0::1]:1",
        "LocalHost:1",
        "[::ffff:127.0.0.1]:1",
      })
  void isLoopbackWhereNothingCanLeaveTheMachine(String text) {
    assertTrue(Address.parse(text).isLoopback());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "0.0.0.0:1",
        "10.0.0.1:1",
        "127.0.0.256:1",
        "127.0.0.1.test:1",
        "localhost.test:1",
        "ci.test:1",
        "[::2]:1",
        "[::ffff:10.0.0.1]:1",
      })
  void isNotLoopbackElsewhere(String text) {
    assertFalse(Address.parse(text).isLoopback());
  }
}
