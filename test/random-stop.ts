// Plans of random stops, as data: what there is to save, what goes wrong where and when, and what must hold all the same.
import type { Fault } from "./fake-exchange.ts";
import { type HistoryPlan, planHistory } from "./random-history.ts";
import type { Random } from "./random.ts";
import { CURL_JQ } from "./runtimes.ts";

/** How AgentAPI fares: its HTTP side, and its process where there is one. */
export interface AgentApiPlan {
  readonly http:
    Fault | { readonly kind: "fine" | "refuse" } | { readonly kind: "garbage"; readonly raw: string };
  /** null: no process to end. */
  readonly process: { readonly termDelayMs: number; readonly ignoresTerm: boolean } | null;
}

export interface CoderPlan {
  readonly faults: readonly Fault[];
  /** After those; none: fine. */
  readonly fault?: Fault;
}

export interface StopPlan {
  readonly runtime: string;
  readonly timeoutSeconds: number;
  readonly history: HistoryPlan;
  readonly agentApi: AgentApiPlan;
  readonly coder: CoderPlan;
  readonly persistence: boolean;
  readonly stateFile: boolean;
  readonly mustDeliver: boolean;
}

const GARBAGE = [
  "",
  "<html>",
  "null",
  "[]",
  "7",
  '{"messages":5}',
  '{"messages":[{"id":0,',
  "\u0000\u0001",
  '{"other":[]}',
];
const DRIP: Fault = { kind: "drip", bytesPerSecond: 5 };

/** Starting the runtime, and the launcher's clock of whole seconds, on a machine that is busy with other stops, ms. */
const STARTUP_MS = 1800;
/** As src/main.ts and src/shutdown.ts: what they keep for the end, and AgentAPI's share of the rest. */
const EXIT_RESERVE_MS = 300;
const STOP_RESERVE_MS = 3000;
const STOP_RESERVE_SHARE = 0.4;
const FETCH_SHARE = 0.6;
/** One exchange that nothing disturbs, of a large history even, ms; and how much must be left for the last one. */
const EXCHANGE_MS = 250;
const MARGIN_MS = 800;

export function planStop(random: Random, runtimes: readonly string[]): StopPlan {
  const plan = {
    runtime: random.pick(runtimes),
    timeoutSeconds: random.pick([2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 8]),
    history: planHistory(random),
    agentApi: planAgentApi(random),
    coder: planCoder(random),
    persistence: random.int(0, 2) > 0,
    stateFile: random.int(0, 2) > 0,
  };
  return { ...plan, mustDeliver: plan.history.count > 0 && timeForCoder(plan) >= MARGIN_MS };
}

function planAgentApi(random: Random): AgentApiPlan {
  const http = random.pick<() => AgentApiPlan["http"]>([
    () => ({ kind: "fine" }),
    () => ({ kind: "fine" }),
    () => ({ kind: "fine" }),
    () => ({ kind: "fine" }),
    () => ({ kind: "refuse" }),
    () => ({ kind: "hang" }),
    () => DRIP,
    () => ({ kind: "reset" }),
    () => ({ kind: "die-mid-answer" }),
    () => ({ kind: "status", status: random.pick([400, 404, 500, 502]), body: "<html>oops" }),
    () => ({ kind: "slow-answer", ms: random.int(50, 4000) }),
    () => ({ kind: "garbage", raw: random.pick(GARBAGE) }),
  ])();
  if (random.int(0, 2) === 0) return { http, process: null };
  const process = {
    termDelayMs: random.pick([0, 0, 100, 700, 2000, 9000]),
    ignoresTerm: random.int(0, 7) === 0,
  };
  return { http, process };
}

function planCoder(random: Random): CoderPlan {
  const passing = (): Fault =>
    random.pick<() => Fault>([
      () => ({ kind: "status", status: random.pick([500, 502, 503, 504]), body: "<html>" }),
      () => ({ kind: "status", status: 429, ...retryAfter(random) }),
      () => ({ kind: "reset" }),
      () => ({ kind: "reset-after-body" }),
      () => ({ kind: "die-mid-answer" }),
      () => ({ kind: "hang" }),
      () => DRIP,
      () => ({ kind: "slow-answer", ms: random.int(50, 1500) }),
    ])();
  const lasting = (): Fault =>
    random.pick<Fault>([
      { kind: "status", status: 401, body: '{"message":"no"}' },
      { kind: "status", status: 404 },
      { kind: "status", status: 503 },
      { kind: "status", status: 429, headers: { "Retry-After": "60" } },
      { kind: "redirect", location: "http://127.0.0.2:9/" },
      { kind: "hang" },
      { kind: "reset" },
      DRIP,
    ]);
  const faults = Array.from({ length: random.pick([0, 0, 1, 1, 1, 2, 3]) }, passing);
  return random.int(0, 5) === 0 ? { faults, fault: lasting() } : { faults };
}

function retryAfter(random: Random): { headers?: Record<string, string> } {
  const value = random.pick(["", "0", "1", "2", "soon", new Date(0).toUTCString()]);
  return value === "" ? {} : { headers: { "Retry-After": value } };
}

/** How much is surely left, ms, when Coder would accept the snapshot; negative when it may never be sent. */
function timeForCoder({
  timeoutSeconds,
  runtime,
  agentApi,
  coder,
  persistence,
  stateFile,
}: Omit<StopPlan, "mustDeliver">): number {
  if (coder.fault !== undefined) return -1;
  const budgetMs = timeoutSeconds * 1000;
  const totalMs =
    budgetMs - STARTUP_MS - EXIT_RESERVE_MS - Math.min(STOP_RESERVE_MS, budgetMs * STOP_RESERVE_SHARE);
  const { http } = agentApi;
  const fetchMs =
    http.kind === "slow-answer" ? http.ms : http.kind === "hang" || http.kind === "drip" ? Infinity : 0;
  const maxFetchMs = totalMs * FETCH_SHARE;
  const answers = http.kind === "fine" || http.kind === "slow-answer";
  if (!(answers && fetchMs + EXCHANGE_MS < maxFetchMs) && !(persistence && stateFile)) return -1;

  const leftMs = totalMs - Math.min(fetchMs, maxFetchMs) - EXCHANGE_MS;
  return coder.faults.reduce((ms, fault, tries) => ms - costOf(fault, ms, tries, runtime), leftMs);
}

/** What a fault takes of the time that is left for Coder, at worst. */
function costOf(fault: Fault, leftMs: number, tries: number, runtime: string): number {
  if (fault.kind === "hang" || fault.kind === "drip" || fault.kind === "slow-answer") {
    // curl makes one attempt at a time, which has all the time that is left.
    return runtime === CURL_JQ.name ? leftMs : leftMs / 2 + EXCHANGE_MS;
  }
  const asked = fault.kind === "status" ? Number(fault.headers?.["Retry-After"] ?? 0) * 1000 || 0 : 0;
  // src/retry.ts: a wait as long as asked, and as much again or a doubling one at random.
  return EXCHANGE_MS + asked + Math.max(asked, 200 * 2 ** tries);
}
