// What a deployment needs: the shortest shutdown_timeout with which all stops deliver, by the model.
import type { RateLimitOptions } from "../test/fake-rate-limit.ts";
import { seeded } from "../test/random.ts";
import { model } from "./model.ts";

/** Seeds that an answer must hold for. */
const SEEDS = 3;
/** What the module allows, s. */
const TIMEOUT_MIN_SECONDS = 2;
const TIMEOUT_MAX_SECONDS = 600;

export interface Need {
  readonly perSecond: number;
  readonly rampSeconds: number;
  /** null: not even the longest is enough. */
  readonly timeoutSeconds: number | null;
  /** Requests for one delivered snapshot. */
  readonly requestsEach: string;
}

/** Bisects whole seconds. */
export async function needOf(
  stops: number,
  rampSeconds: number,
  limit: RateLimitOptions,
  seed: number,
): Promise<Need> {
  let requests = 0;
  const suffices = async (timeoutSeconds: number): Promise<boolean> => {
    for (let i = 0; i < SEEDS; i++) {
      const row = await model("", stops, { timeoutSeconds, rampSeconds }, limit, seeded(seed + i));
      if (row.delivered < stops) return false;
      requests = row.requests;
    }
    return true;
  };
  // Stops in need of more time than this would wait for one another without end.
  const ideal = Math.ceil(stops / limit.perSecond);
  let high = Math.min(TIMEOUT_MAX_SECONDS, ideal + 30);
  const { perSecond } = limit;
  if (!(await suffices(high))) return { perSecond, rampSeconds, timeoutSeconds: null, requestsEach: "" };
  let low = TIMEOUT_MIN_SECONDS;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await suffices(middle)) high = middle;
    else low = middle + 1;
  }
  return { perSecond, rampSeconds, timeoutSeconds: high, requestsEach: (requests / stops).toFixed(1) };
}
