// Many stops at once, as clients in this process that run the program's own code, or as real processes.
import type { RateLimitedCoder } from "../test/fake-rate-limit.ts";
import type { Random } from "../test/random.ts";
import type { Runtime } from "../test/runtimes.ts";
import { Home } from "../test/shutdown.ts";
import { postSnapshot } from "../src/coder.ts";
import { Deadline } from "../src/deadline.ts";
import type { Log } from "../src/log.ts";
import { buildSnapshot } from "../src/snapshot.ts";

export interface Fleet {
  readonly timeoutSeconds: number;
  /** All stops begin within this time, s. */
  readonly rampSeconds: number;
}

/** One stop: how long it took, s, and what it said. */
export interface Outcome {
  readonly seconds: number;
  readonly output: string;
}

/** As src/main.ts: what ends AgentAPI and the runtime, and what a runtime needs until the program runs, ms. */
const STOP_RESERVE_MS = 3000;
const STOP_RESERVE_SHARE = 0.4;
const EXIT_RESERVE_MS = 300;
const STARTUP_MS = [50, 400] as const;

export function budgetMs(timeoutSeconds: number, startupMs: number): number {
  const totalMs = timeoutSeconds * 1000;
  return totalMs - startupMs - EXIT_RESERVE_MS - Math.min(STOP_RESERVE_MS, totalMs * STOP_RESERVE_SHARE);
}

export function startupMs(random: Random): number {
  return random.int(...STARTUP_MS);
}

/** Posts a snapshot for each of Coder's tasks. */
export function simulate(coder: RateLimitedCoder, fleet: Fleet, random: Random): Promise<Outcome[]> {
  const stops = coder.taskIds.map(async (taskId, index): Promise<Outcome> => {
    const startMs = random.int(0, fleet.rampSeconds * 1000);
    const startup = startupMs(random);
    const snapshot = buildSnapshot([message(index, random)], 1);
    await Bun.sleep(startMs);
    const began = performance.now();
    await Bun.sleep(startup);
    const deadline = Deadline.in(budgetMs(fleet.timeoutSeconds, startup));
    const lines: string[] = [];
    const log: Log = { info: (line) => lines.push(line), error: (line) => lines.push(line) };
    const noProxy = { https: "", http: "", noProxy: "" };
    const destination = {
      coderUrl: coder.url,
      coderToken: coder.coder.token,
      taskId,
      network: { proxy: noProxy, trust: { certFile: "", certDir: "", extraFile: "" } },
    };
    await postSnapshot(destination, snapshot.body, deadline, log).catch((error: Error) =>
      log.error(error.message),
    );
    return { seconds: (performance.now() - began) / 1000, output: lines.join("\n") };
  });
  return Promise.all(stops);
}

/** Runs the rendered script for each of Coder's tasks, all at once but for the ramp; `agentApiPort` serves them all. */
export function runProcesses(
  coder: RateLimitedCoder,
  fleet: Fleet,
  random: Random,
  { runtime, agentApiPort }: { readonly runtime: Runtime; readonly agentApiPort: number },
): Promise<Outcome[]> {
  const stops = coder.taskIds.map(async (taskId): Promise<Outcome> => {
    await Bun.sleep(random.int(0, fleet.rampSeconds * 1000));
    using home = new Home();
    const { ms, stdout, stderr } = await home.stop({
      runtime,
      agentApiPort,
      args: { ARG_TASK_ID: taskId, ARG_SHUTDOWN_TIMEOUT: String(fleet.timeoutSeconds) },
      env: { CODER_AGENT_URL: coder.url, CODER_AGENT_TOKEN: coder.coder.token },
    });
    return { seconds: ms / 1000, output: stdout + stderr };
  });
  return Promise.all(stops);
}

/** From a few words to more than fits. */
function message(id: number, random: Random): unknown {
  const content = "All work and no play. ".repeat(random.pick([5, 50, 500, 4000])) + id;
  return { id, content, role: "agent", time: "2026-01-30T09:31:04Z" };
}
