/** The same items; what is thrown is thrown as `told` says. */
export async function* rethrown<T>(
  items: AsyncIterable<T>,
  told: (error: unknown) => unknown,
): AsyncGenerator<T, void> {
  try {
    yield* items;
  } catch (error) {
    throw told(error);
  }
}
