// One total budget of time that every wait, retry and timeout draws on.

/** A moment that nothing may outlast. Times are milliseconds of a clock that never goes back. */
export class Deadline {
  constructor(
    private readonly endMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** A deadline `budgetMs` from now. */
  static in(budgetMs: number, now: () => number = () => performance.now()): Deadline {
    return new Deadline(now() + budgetMs, now);
  }

  /** Milliseconds left, never negative. */
  remainingMs(): number {
    return Math.max(0, this.endMs - this.now());
  }

  /** An earlier deadline that leaves `reserveMs` of this one for what comes after. */
  reserving(reserveMs: number): Deadline {
    return new Deadline(this.endMs - reserveMs, this.now);
  }

  /** An earlier deadline that takes at most `capMs` of what is left. */
  capped(capMs: number): Deadline {
    return new Deadline(Math.min(this.endMs, this.now() + capMs), this.now);
  }

  /** Waits `ms`, or until the deadline when that is sooner. */
  async sleep(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms, this.remainingMs())));
  }
}
