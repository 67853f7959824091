// The named reasons why a step of the shutdown fails; each message is what a person reads in the log.

/** Base of every failure that the shutdown expects; anything else is a bug. */
export class ShutdownError extends Error {}

/** No answer: refused, reset, DNS, TLS. `code` is the system's error code where there is one. */
export class NetworkError extends ShutdownError {
  readonly code: string;
  constructor(what: string, cause: unknown) {
    const { code, message } = cause as { code?: string; message?: string };
    super(`${what}: ${message || code || "connection failed"}`, { cause });
    this.code = code ?? "";
  }
}

/** An answer with a status that is not a success. `retryAfterMs` is what the server asked for, if it did. */
export class HttpError extends ShutdownError {
  constructor(
    what: string,
    readonly status: number,
    detail: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(`${what}: HTTP ${status}${detail && `: ${detail}`}`);
  }
}

/** The time that a step may take is used up. */
export class DeadlineError extends ShutdownError {
  constructor(what: string, spentMs: number) {
    super(`${what}: no answer within ${(spentMs / 1000).toFixed(1)} s`);
  }
}

/** An answer, or a file, of the wrong shape. */
export class WireError extends ShutdownError {
  constructor(source: string, what: string) {
    super(`${source}: ${what}`);
  }
}
