import { expect, test } from "bun:test";
import { Deadline } from "./deadline.ts";
import { DeadlineError, HttpError, NetworkError, WireError } from "./errors.ts";
import { withRetries } from "./retry.ts";

/** Fails with each of `failures` in turn, then succeeds. */
function failing(failures: readonly Error[]) {
  let count = 0;
  return {
    count: () => count,
    attempt: async (): Promise<string> => {
      const failure = failures[count++];
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
  const { attempt, count } = failing([failure, failure]);
  expect(await withRetries(attempt, options(5000))).toBe("delivered");
  expect(count()).toBe(3);
});

test.each([
  ["HTTP 400", new HttpError("POST", 400, "")],
  ["HTTP 401", new HttpError("POST", 401, "")],
  ["an answer of the wrong shape", new WireError("x", "y")],
  ["a bug", new TypeError("bug")],
])("does not repeat after %s", async (_, failure) => {
  const { attempt, count } = failing([failure]);
  await expect(withRetries(attempt, options(5000))).rejects.toBe(failure);
  expect(count()).toBe(1);
});

test("gives a silent attempt company, and the first success counts", async () => {
  const answers = [new Promise<string>(() => {}), Promise.resolve("second")];
  expect(await withRetries(() => answers.shift()!, options(1500))).toBe("second");
});

test("does not give up a slow attempt for its company", async () => {
  const slow = Bun.sleep(900).then(() => "slow");
  const answers = [slow, new Promise<string>(() => {})];
  expect(await withRetries(() => answers.shift() ?? new Promise(() => {}), options(1500))).toBe("slow");
});

test("retries beside a silent attempt when its company fails", async () => {
  const { attempt } = failing([new HttpError("POST", 503, "")]);
  const answers = [() => new Promise<string>(() => {}), attempt, attempt];
  expect(await withRetries(() => answers.shift()!(), options(4000))).toBe("delivered");
});

test("gives up when no attempt fits any more, with the last failure", async () => {
  const failure = new HttpError("POST", 503, "");
  const { attempt, count } = failing(Array.from({ length: 99 }, () => failure));
  await expect(withRetries(attempt, options(100))).rejects.toBe(failure);
  expect(count()).toBe(1);
});

test("waits as long as the server asks", async () => {
  const waits: number[] = [];
  const { attempt } = failing([new HttpError("POST", 429, "", 300)]);
  await withRetries(attempt, {
    ...options(5000),
    onRetry: (_: string, waitMs: number) => waits.push(waitMs),
  });
  expect(waits).toEqual([300]);
});

test("waits no longer than a third of what is left, then a sixth, when the server asks for more", async () => {
  const waits: number[] = [];
  const failure = new HttpError("POST", 429, "", 60_000);
  const { attempt } = failing([failure, failure]);
  const result = await withRetries(attempt, {
    ...options(850),
    onRetry: (_: string, waitMs: number) => waits.push(waitMs),
  });
  expect(result).toBe("delivered");
  expect(waits[0]).toBeWithin(190, 201);
  expect(waits[1]).toBeWithin(55, 68);
});

test("spreads over as much time again as the server asks for, so that those sent away together don't come back together", async () => {
  const waits: number[] = [];
  const { attempt } = failing([new HttpError("POST", 429, "", 300)]);
  await withRetries(attempt, {
    ...options(5000),
    random: () => 1,
    onRetry: (_: string, waitMs: number) => waits.push(waitMs),
  });
  expect(waits).toEqual([600]);
});

test("comes more often when little time is left, so that no place goes unused", async () => {
  const waits: number[] = [];
  const failure = new HttpError("POST", 429, "");
  const { attempt } = failing([failure, failure, failure]);
  const result = await withRetries(attempt, {
    ...options(1000),
    random: () => 1,
    onRetry: (_: string, waitMs: number) => waits.push(waitMs),
  });
  expect(result).toBe("delivered");
  expect(waits).toEqual([200, 200, 200]);
});
