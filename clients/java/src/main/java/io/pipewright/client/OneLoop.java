package io.pipewright.client;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Supplier;

/** An iterator over the items of a source until it returns none, or fails. */
final class OneLoop<T> implements Iterator<T> {
  private final Supplier<Optional<T>> source;
  private Optional<T> next = Optional.empty();
  private boolean hasBegun;
  private boolean isOver;

  OneLoop(Supplier<Optional<T>> source) {
    this.source = source;
  }

  /** Returns this, the first time only. */
  Iterator<T> begin() {
    if (hasBegun) {
      throw new IllegalStateException("there is one loop over a stream, and it has begun");
    }
    hasBegun = true;
    return this;
  }

  @Override
  public boolean hasNext() {
    if (next.isEmpty() && !isOver) {
      isOver = true; // Stays so if the source fails.
      next = source.get();
      isOver = next.isEmpty();
    }
    return next.isPresent();
  }

  @Override
  public T next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    T given = next.orElseThrow();
    next = Optional.empty();
    return given;
  }
}
