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
  /** Told why there is another attempt, and in how many ms. */
  readonly onRetry: (why: string, waitMs: number) => void;
  readonly random?: () => number;
}

const SILENT = Symbol();

/**
 * Runs `attempt` until it succeeds, fails for good, or the deadline leaves no room for another. An attempt that stays
 * silent for half of what is left gets company by a second one, and the first success counts: a hung connection costs
 * no more than that, and a slow one is not given up. So `attempt` must be safe to run twice at once.
 */
export async function withRetries<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { deadline, onRetry, random = Math.random } = options;
  for (let tries = 0; ; tries++) {
    const running = attempt();
    try {
      const patience = deadline.sleep(deadline.remainingMs() / 2).then((): typeof SILENT => SILENT);
      const early = await Promise.race([running, patience]);
      if (early !== SILENT) return early;
    } catch (error) {
      const roomMs = deadline.remainingMs() - ATTEMPT_MIN_MS;
      if (!isTransient(error) || roomMs <= 0) throw error;
      const waitMs = waitBefore(error, tries, roomMs, random);
      onRetry(error.message, waitMs);
      await deadline.sleep(waitMs);
      continue;
    }
    if (deadline.remainingMs() < 2 * ATTEMPT_MIN_MS) return running;
    onRetry("No answer yet", 0);
    return firstSuccess([running, withRetries(attempt, options)]);
  }
}

/** Only failures that another attempt can mend; a bug or a refusal stays what it is. */
function isTransient(error: unknown): error is Error {
  if (error instanceof HttpError) return error.status === 429 || error.status >= 500;
  return (error instanceof NetworkError && !error.permanent) || error instanceof DeadlineError;
}

/**
 * Honours what the server asks for as far as time allows: of what is left, a third the first time, a sixth later. Stops
 * that are sent away together must not come back together, and near the end no place may go unused.
 */
function waitBefore(error: Error, tries: number, roomMs: number, random: () => number): number {
  const askedMs = error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0;
  const honouredMs = Math.min(askedMs, roomMs / (tries === 0 ? 3 : 6));
  const spreadMs = Math.max(honouredMs, Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries));
  const jitterMs = Math.min(spreadMs, Math.max(BACKOFF_MIN_MS, roomMs / 4)) * random();
  return Math.min(roomMs, honouredMs + jitterMs);
}

async function firstSuccess<T>(attempts: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(attempts);
  } catch (error) {
    throw (error as AggregateError).errors.at(-1);
  }
}
