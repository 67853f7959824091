import { expect, test } from "bun:test";
import { Deadline } from "./deadline.ts";
import { DeadlineError, HttpError, NetworkError, WireError } from "./errors.ts";
import { withRetries } from "./retry.ts";

/** Fails with each of `failures` in turn, then succeeds. */
function failing(failures: readonly Error[]) {
  const seen: number[] = [];
  return {
    seen,
    attempt: async (deadline: Deadline): Promise<string> => {
      seen.push(deadline.remainingMs());
      const failure = failures[seen.length - 1];
      if (failure !== undefined) throw failure;
      return "delivered";
    },
  };
}

const options = (budgetMs: number) => ({
  deadline: Deadline.in(budgetMs),
  onRetry: () => {},
  random: () => 0,
});

test.each([
  ["a reset connection", new NetworkError("POST", { code: "ECONNRESET" })],
  ["an attempt that got no answer", new DeadlineError("POST", 100)],
  ["HTTP 429", new HttpError("POST", 429, "", 0)],
  ["HTTP 503", new HttpError("POST", 503, "")],
])("tries again after %s", async (_, failure) => {
  const { attempt, seen } = failing([failure, failure]);
  expect(await withRetries(attempt, options(5000))).toBe("delivered");
  expect(seen).toHaveLength(3);
});

test.each([
  ["HTTP 400", new HttpError("POST", 400, "")],
  ["HTTP 401", new HttpError("POST", 401, "")],
  ["an answer of the wrong shape", new WireError("x", "y")],
  ["a bug", new TypeError("bug")],
])("does not repeat after %s", async (_, failure) => {
  const { attempt, seen } = failing([failure]);
  await expect(withRetries(attempt, options(5000))).rejects.toBe(failure);
  expect(seen).toHaveLength(1);
});

test("gives every attempt a fresh deadline and keeps time for another", async () => {
  const { attempt, seen } = failing([new HttpError("POST", 503, ""), new HttpError("POST", 503, "")]);
  await withRetries(attempt, options(4000));
  for (const attemptMs of seen) expect(attemptMs).toBeWithin(1000, 2001);
});

test("gives up when no attempt fits any more, with the last failure", async () => {
  const failure = new HttpError("POST", 503, "");
  const { attempt, seen } = failing(Array.from({ length: 99 }, () => failure));
  await expect(withRetries(attempt, options(100))).rejects.toBe(failure);
  expect(seen).toHaveLength(1);
});

test("waits as long as the server asks", async () => {
  const waits: number[] = [];
  const { attempt } = failing([new HttpError("POST", 429, "", 300)]);
  await withRetries(attempt, { ...options(5000), onRetry: (_, waitMs) => waits.push(waitMs) });
  expect(waits).toEqual([300]);
});

test("uses the last moment when the server asks for more time than there is", async () => {
  const waits: number[] = [];
  const { attempt } = failing([new HttpError("POST", 429, "", 60_000)]);
  const result = await withRetries(attempt, { ...options(600), onRetry: (_, waitMs) => waits.push(waitMs) });
  expect(result).toBe("delivered");
  expect(waits[0]).toBeWithin(1, 601);
});
