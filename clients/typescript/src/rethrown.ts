/** The same items; errors are converted with `convert`. */
export async function* rethrown<T>(
  items: AsyncIterable<T>,
  convert: (error: unknown) => unknown,
): AsyncGenerator<T, void> {
  try {
    yield* items;
  } catch (error) {
    throw convert(error);
  }
}
