package io.pipewright.client;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import java.util.UUID;

/** Sets request ids, so that the service recognizes the tries of one call. */
final class RequestIds {
  private RequestIds() {}

  /** A copy of the request with an id, if it has the field and the caller did not set it. */
  @SuppressWarnings("unchecked") // The builder of a message builds messages of its type.
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
