import { expect, setDefaultTimeout, test } from "bun:test";
import { runProcesses, simulate } from "../bench/fleet.ts";
import { model } from "../bench/model.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { RateLimit, RateLimitedCoder, type RateLimitOptions } from "./fake-rate-limit.ts";
import { seeded, seedFromEnv } from "./random.ts";
import { RUNTIMES } from "./runtimes.ts";

setDefaultTimeout(60_000);

const NIGHTLY = { timeoutSeconds: 8, rampSeconds: 0 };
const LIMITS: readonly RateLimitOptions[] = (["window", "bucket"] as const).flatMap((kind) =>
  [true, false].map((retryAfter) => ({ perSecond: 50, kind, retryAfter })),
);
const seed = seedFromEnv();

test.each([LIMITS[0]!, LIMITS[3]!])(
  "200 stops at once reach a Coder that allows 50 requests a second (%j)",
  async (limit) => {
    await using coder = await RateLimitedCoder.start(200, limit);
    const outcomes = await simulate(coder, NIGHTLY, seeded(seed));
    expect({ seed, delivered: coder.delivered() }).toEqual({ seed, delivered: 200 });
    expect(coder.arrivals.some(({ passed }) => !passed)).toBe(true);
    expect(Math.max(...outcomes.map(({ seconds }) => seconds))).toBeLessThan(8);
  },
);

test.each(LIMITS.flatMap((limit) => [[200, 8, limit] as const, [1000, 30, limit] as const]))(
  "%d stops at once do within shutdown_timeout %d, in the model (%j)",
  async (stops, timeoutSeconds, limit) => {
    const { delivered } = await model("", stops, { timeoutSeconds, rampSeconds: 0 }, limit, seeded(seed));
    expect({ seed, delivered }).toEqual({ seed, delivered: stops });
  },
);

test("20 real stops at once reach a Coder that allows 8 requests a second", async () => {
  await using coder = await RateLimitedCoder.start(20, { ...LIMITS[0]!, perSecond: 8 });
  await using agentApi = await startFakeAgentApi({ messages: [{ id: 0, content: "Hello", role: "user" }] });
  const how = { runtime: RUNTIMES[0]!, agentApiPort: agentApi.port };
  const outcomes = await runProcesses(coder, { timeoutSeconds: 10, rampSeconds: 0 }, seeded(seed), how);
  expect({ seed, delivered: coder.delivered() }).toEqual({ seed, delivered: 20 });
  for (const { output } of outcomes) expect(output).toContain("Shutdown complete");
});

test.each(LIMITS)("the fake's limit lets through what it says (%j)", (options) => {
  const limit = new RateLimit(options);
  const perSecond = Array.from({ length: 10 }, (_, second) =>
    Array.from({ length: 500 }, (_, i) => limit.admits(1e6 + second * 1000 + i * 2)).filter(Boolean),
  );
  const counts = perSecond.map((passed) => passed.length);
  expect(counts[0]!).toBeWithin(50, 101);
  for (const count of counts.slice(1)) expect(count).toBeWithin(48, 52);
});
