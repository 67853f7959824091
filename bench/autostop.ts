// A nightly autostop: many stops at once against one Coder that allows 50 requests a second. `bun run bench [part …]`;
// parts: simulated, processes, model, needs. RUNS repeats, SEED replays.
import { startFakeAgentApi } from "../test/fake-agentapi.ts";
import { type RateLimitOptions, RateLimitedCoder } from "../test/fake-rate-limit.ts";
import { seeded, seedFromEnv } from "../test/random.ts";
import { RUNTIMES } from "../test/runtimes.ts";
import { type Fleet, type Outcome, runProcesses, simulate } from "./fleet.ts";
import { model } from "./model.ts";
import { needOf } from "./needs.ts";
import { printTable, type Row, rowOf } from "./table.ts";

const PER_SECOND = 50;
const LIMITS: readonly RateLimitOptions[] = (["window", "bucket"] as const).flatMap((kind) =>
  [true, false].map((retryAfter) => ({ perSecond: PER_SECOND, kind, retryAfter })),
);
const FLEETS: readonly { stops: number; fleet: Fleet }[] = [
  { stops: 200, fleet: { timeoutSeconds: 8, rampSeconds: 0 } },
  { stops: 1000, fleet: { timeoutSeconds: 30, rampSeconds: 0 } },
];
/** What two cores carry: fewer at once, a longer time, or begun one after the other. */
const PROCESS_FLEETS: readonly { stops: number; fleet: Fleet }[] = [
  { stops: 75, fleet: { timeoutSeconds: 8, rampSeconds: 0 } },
  { stops: 200, fleet: { timeoutSeconds: 30, rampSeconds: 0 } },
  { stops: 200, fleet: { timeoutSeconds: 8, rampSeconds: 20 } },
];
/** How many seeds each answer of the model must hold for. */
const MODEL_SEEDS = 20;
/** A deployment that stops all of these in the same minute. */
const LARGE_STOPS = 10_000;
const LARGE_PER_SECOND = [2500, 1000, 500, 250, 100, 50];

const seed = seedFromEnv();
const runs = Number(process.env["RUNS"] ?? 1);
const parts = process.argv.slice(2);
console.log(`SEED=${seed}; times in s, requests of the busiest second as "peak"`);

const report = (rows: readonly Row[]): void => {
  printTable(rows);
  console.log(
    `all delivered in ${rows.filter((row) => row.delivered === row.stops).length} of ${rows.length} runs\n`,
  );
};

for (const part of parts.length > 0 ? parts : ["simulated", "processes", "model", "needs"]) {
  console.log(`# ${part}`);
  if (part === "simulated") report(await simulated());
  else if (part === "processes") report(await processes());
  else if (part === "model") await modelled();
  else if (part === "needs") await needed();
  else throw new Error(`no such part: ${part}`);
}
process.exit(0);

async function simulated(): Promise<Row[]> {
  const rows: Row[] = [];
  for (let run = 0; run < runs; run++) {
    for (const { stops, fleet } of FLEETS) {
      for (const limit of LIMITS) {
        const random = seeded(seed + run);
        rows.push(await against(limit, fleet, stops, (coder) => simulate(coder, fleet, random)));
      }
    }
  }
  return rows;
}

/** The rendered script as real processes; two cores start about 25 of them a second. */
async function processes(): Promise<Row[]> {
  const rows: Row[] = [];
  const messages = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];
  await using agentApi = await startFakeAgentApi({ messages });
  const how = { runtime: RUNTIMES[0]!, agentApiPort: agentApi.port };
  for (let run = 0; run < runs; run++) {
    for (const { stops, fleet } of PROCESS_FLEETS) {
      const random = seeded(seed + run);
      rows.push(await against(LIMITS[0]!, fleet, stops, (coder) => runProcesses(coder, fleet, random, how)));
    }
  }
  return rows;
}

async function against(
  limit: RateLimitOptions,
  fleet: Fleet,
  stops: number,
  act: (coder: RateLimitedCoder) => Promise<Outcome[]>,
): Promise<Row> {
  await using coder = await RateLimitedCoder.start(stops, limit);
  const outcomes = await act(coder);
  return rowOf(nameOf(limit, fleet), outcomes, coder.delivered(), coder.arrivals);
}

async function modelled(): Promise<void> {
  for (const { stops, fleet } of FLEETS) {
    for (const limit of LIMITS) {
      const rows: Row[] = [];
      for (let i = 0; i < MODEL_SEEDS; i++) {
        rows.push(await model(nameOf(limit, fleet), stops, fleet, limit, seeded(seed + i)));
      }
      report(rows);
    }
  }
}

async function needed(): Promise<void> {
  console.log(`${LARGE_STOPS} stops; the shortest shutdown_timeout, and requests for each snapshot`);
  for (const rampSeconds of [0, 60]) {
    for (const perSecond of LARGE_PER_SECOND) {
      const need = await needOf(LARGE_STOPS, rampSeconds, { ...LIMITS[0]!, perSecond }, seed);
      console.log(
        `begun within ${rampSeconds} s, ${perSecond} requests/s: ${need.timeoutSeconds} s, ${need.requestsEach}`,
      );
    }
  }
}

function nameOf({ kind, retryAfter }: RateLimitOptions, { timeoutSeconds, rampSeconds }: Fleet): string {
  const ramp = rampSeconds > 0 ? `, begun within ${rampSeconds} s` : "";
  return `timeout ${timeoutSeconds}, ${kind}, ${retryAfter ? "Retry-After" : "plain 429"}${ramp}`;
}
