/** The largest message that is accepted, in bytes. A page of the API is about 1 MiB at most. */
export const LARGEST_MESSAGE = 4 * 1024 * 1024;
