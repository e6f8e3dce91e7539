package io.pipewright.client;

import com.google.protobuf.ByteString;
import io.pipewright.v1.LogGap;

/** A part of a log. */
public sealed interface LogPiece {
  /**
   * Bytes as the command wrote them, cut anywhere: within a line, and within a character.
   *
   * @param offset the position of the first one in the log
   * @param data the bytes, at least one
   */
  record Bytes(long offset, ByteString data) implements LogPiece {}

  /**
   * Bytes that are not stored.
   *
   * @param startOffset the offset of the first missing byte
   * @param endOffset the offset after the last missing byte
   * @param reason why they are missing
   */
  record Gap(long startOffset, long endOffset, LogGap.Reason reason) implements LogPiece {}
}
