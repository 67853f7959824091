// Many stops at once in virtual time: the program's own retries against a modelled Coder.
import { RateLimit, type RateLimitOptions, WINDOW_SECONDS } from "../test/fake-rate-limit.ts";
import type { Random } from "../test/random.ts";
import { Deadline } from "../src/deadline.ts";
import { HttpError } from "../src/errors.ts";
import { withRetries } from "../src/retry.ts";
import { budgetMs, type Fleet, startupMs } from "./fleet.ts";
import { type Row, rowOf } from "./table.ts";
import { inVirtualTime } from "./virtual-time.ts";

/** One way between a workspace and Coder, ms. */
const TRAVEL_MS = [2, 30] as const;

export function model(
  run: string,
  stops: number,
  fleet: Fleet,
  options: RateLimitOptions,
  random: Random,
): Promise<Row> {
  return inVirtualTime(async (now) => {
    // The server's windows begin at any moment of the stops.
    const phaseMs = random.int(0, 999) + 10_000;
    const limit = new RateLimit(options);
    const arrivals: { atMs: number; passed: boolean }[] = [];
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

    const post = async (): Promise<void> => {
      await sleep(random.int(...TRAVEL_MS));
      const passed = limit.admits(now() + phaseMs);
      arrivals.push({ atMs: now(), passed });
      await sleep(random.int(...TRAVEL_MS));
      if (!passed) throw new HttpError("POST", 429, "", options.retryAfter ? WINDOW_SECONDS * 1000 : null);
    };
    const stop = async (): Promise<{ seconds: number; delivered: boolean }> => {
      await sleep(random.int(0, fleet.rampSeconds * 1000));
      const beganMs = now();
      const startup = startupMs(random);
      await sleep(startup);
      const deadline = Deadline.in(budgetMs(fleet.timeoutSeconds, startup), now);
      const retries = { deadline, onRetry: () => {}, random: () => random.int(0, 2 ** 30) / 2 ** 30 };
      const delivered = await withRetries(post, retries).then(
        () => true,
        () => false,
      );
      return { seconds: (now() - beganMs) / 1000, delivered };
    };
    const outcomes = await Promise.all(Array.from({ length: stops }, stop));
    return rowOf(run, outcomes, outcomes.filter(({ delivered }) => delivered).length, arrivals);
  });
}
