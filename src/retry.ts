// What is tried again, and when.
import type { Deadline } from "./deadline.ts";
import { DeadlineError, HttpError, NetworkError } from "./errors.ts";

/** First wait and its ceiling, ms. Each wait is random below its doubling limit, so that many stops spread out. */
const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 3000;
/** An attempt needs at least this long to have a chance, ms. */
const ATTEMPT_MIN_MS = 250;

export interface RetryOptions {
  readonly deadline: Deadline;
  /** Told the failure and the wait before the next attempt, ms. */
  readonly onRetry: (error: Error, waitMs: number) => void;
  readonly random?: () => number;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the deadline leaves no room for another. Each attempt gets a
 * fresh deadline of half of what is left, so that one hung connection never costs the whole budget.
 */
export async function withRetries<T>(
  attempt: (deadline: Deadline) => Promise<T>,
  { deadline, onRetry, random = Math.random }: RetryOptions,
): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      const left = deadline.remainingMs();
      return await attempt(deadline.capped(Math.max(left / 2, Math.min(left, 2 * ATTEMPT_MIN_MS))));
    } catch (error) {
      const room = deadline.remainingMs() - ATTEMPT_MIN_MS;
      if (!isTransient(error) || room <= 0) throw error;
      const waitMs = Math.min(waitBefore(error, tries, random), room);
      onRetry(error, waitMs);
      await deadline.sleep(waitMs);
    }
  }
}

/** Only failures that another attempt can mend; a bug or a refusal stays what it is. */
function isTransient(error: unknown): error is Error {
  if (error instanceof HttpError) return error.status === 429 || error.status >= 500;
  return error instanceof NetworkError || error instanceof DeadlineError;
}

function waitBefore(error: Error, tries: number, random: () => number): number {
  const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries);
  const asked = error instanceof HttpError ? error.retryAfterMs : null;
  return asked === null ? ceiling * random() : asked + ceiling * random();
}
