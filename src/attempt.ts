// For questions to the system whose failure is an answer.

/** Returns what `action` returns, or `otherwise` when it throws. */
export function attempt<T>(action: () => T, otherwise: T): T {
  try {
    return action();
  } catch {
    return otherwise;
  }
}
