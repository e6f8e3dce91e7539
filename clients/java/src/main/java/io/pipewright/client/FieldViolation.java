package io.pipewright.client;

/**
 * An invalid field of a request.
 *
 * @param field the path of the field, such as {@code pipeline.stages[0].name}
 * @param description what is wrong with it, for people
 */
public record FieldViolation(String field, String description) {}
