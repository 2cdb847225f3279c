/**
 * Yields the results of `reads` in order, with up to `depth` further reads under way while the consumer works on one: the
 * disk and the hash (or the arithmetic) run at the same time. Holds depth + 1 results at most.
 */
export async function* readAhead<T>(reads: Iterable<() => Promise<T>>, depth = 2): AsyncGenerator<T, void, undefined> {
  const pending: Promise<T>[] = [];
  try {
    for (const read of reads) {
      const result = read();
      // A failed read is thrown when its turn comes; until then nobody awaits it, which Node would call unhandled.
      result.catch(() => {});
      pending.push(result);
      if (pending.length > depth) yield await pending.shift()!;
    }
    while (pending.length > 0) yield await pending.shift()!;
  } finally {
    // A consumer that stops early may close the file next: no read may be under way then.
    await Promise.allSettled(pending);
  }
}
