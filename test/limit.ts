// Keeps concurrent tests from slowing each other down so far that their bounds of time mean nothing.

/** Returns a function that runs what it is given, at most `atOnce` at a time; the others wait for their turn. */
export function limitTo(atOnce: number): <T>(action: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (action) => {
    if (running === atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await action();
    } finally {
      // The place goes straight to the next one.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
