package io.pipewright.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ReadmeTest {
  private static final Pattern BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final String MAIN =
      """
      %s
      class Main {
        static void main(PipewrightClient %s, String jobId) throws Exception {
      %s
        }
      }
      """;

  @TempDir Path classes;

  static Stream<String> blocks() throws Exception {
    return BLOCK.matcher(Files.readString(Path.of("README.md"))).results().map(ReadmeTest::code);
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void codeCompiles(String code) {
    var problems = new DiagnosticCollector<JavaFileObject>();
    var options = List.of("-cp", System.getProperty("java.class.path"), "-d", classes.toString());
    var compiler = ToolProvider.getSystemJavaCompiler();
    var task = compiler.getTask(null, null, problems, options, null, List.of(new Source(code)));
    assertTrue(task.call(), () -> problems.getDiagnostics() + "\n" + code);
  }

  @Test
  void quickStartIsShort() throws Exception {
    String first = blocks().findFirst().orElseThrow();
    assertTrue(first.lines().count() <= 15, first);
  }

  @Test
  void versionIsThatOfThePackage() throws Exception {
    var version = Pattern.compile("<artifactId>pipewright-client</artifactId>\\s*<version>(.*?)<");
    assertEquals(found(version, "pom.xml"), found(version, "README.md"));
  }

  private static String found(Pattern pattern, String file) throws Exception {
    var matcher = pattern.matcher(Files.readString(Path.of(file)));
    assertTrue(matcher.find(), file);
    return matcher.group(1);
  }

  /** A program unchanged, and a part of a program completed to one. */
  private static String code(MatchResult block) {
    String code = block.group(1);
    String client = code.contains("var client") ? "other" : "client";
    if (code.contains("class Main")) {
      return code;
    }
    // A part uses the client of the quick start; it imports everything else.
    String imports = "import io.pipewright.client.PipewrightClient;\n";
    return MAIN.formatted(imports + lines(code, true), client, lines(code, false));
  }

  private static String lines(String code, boolean areImports) {
    return code.lines()
        .filter(line -> line.startsWith("import ") == areImports)
        .collect(Collectors.joining("\n"));
  }

  private static final class Source extends SimpleJavaFileObject {
    private final String code;

    Source(String code) {
      super(URI.create("string:///Main.java"), Kind.SOURCE);
      this.code = code;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return code;
    }
  }
}
