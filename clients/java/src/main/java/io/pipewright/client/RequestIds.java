package io.pipewright.client;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import java.util.UUID;

/** Makes all tries of one call one call to the service. */
final class RequestIds {
  private RequestIds() {}

  /** The request with an id, if it takes one and the caller gave none; never changes the given. */
  @SuppressWarnings("unchecked") // The builder of a message makes messages of its type.
  static <Q extends Message> Q complete(Q request) {
    FieldDescriptor field = request.getDescriptorForType().findFieldByName("request_id");
    if (field == null || !request.getField(field).equals("") || isValidateOnly(request)) {
      return request;
    }
    return (Q) request.toBuilder().setField(field, UUID.randomUUID().toString()).build();
  }

  private static boolean isValidateOnly(Message request) {
    Descriptor type = request.getDescriptorForType();
    FieldDescriptor field = type.findFieldByName("validate_only");
    return field != null && request.getField(field).equals(true);
  }
}
