package io.pipewright.client.player;

import com.google.protobuf.ListValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.pipewright.client.FieldViolation;
import io.pipewright.client.PipewrightException;

/** Errors in the player's form: with every key. */
final class Errors {
  private Errors() {}

  static Struct toStruct(PipewrightException e) {
    var metadata = Struct.newBuilder();
    e.metadata().forEach((key, fact) -> metadata.putFields(key, text(fact)));
    var violations = ListValue.newBuilder();
    e.fieldViolations().forEach(violation -> violations.addValues(toValue(violation)));
    return Struct.newBuilder()
        .putFields("code", text(e.code().name()))
        .putFields("reason", text(e.reason()))
        .putFields("message", text(e.description()))
        .putFields("metadata", Value.newBuilder().setStructValue(metadata).build())
        .putFields("fieldViolations", Value.newBuilder().setListValue(violations).build())
        .build();
  }

  private static Value toValue(FieldViolation violation) {
    var struct =
        Struct.newBuilder()
            .putFields("field", text(violation.field()))
            .putFields("description", text(violation.description()));
    return Value.newBuilder().setStructValue(struct).build();
  }

  private static Value text(String text) {
    return Value.newBuilder().setStringValue(text).build();
  }
}
