// Random stops against random faults. `SEED=… ROUNDS=1 bun test test/shutdown-random.test.ts` replays one of them.
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { type FakeCoder, startFakeCoder } from "./fake-coder.ts";
import { decodeSnapshot } from "./fake-coder-decode.ts";
import { limitTo } from "./limit.ts";
import { seeded, seedFromEnv } from "./random.ts";
import { makeHistory, newestEnd } from "./random-history.ts";
import { startAgentApi } from "./random-agentapi.ts";
import { planStop, type StopPlan } from "./random-stop.ts";
import { CURL_JQ, RUNTIMES } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 60);
const AT_ONCE = Number(process.env["AT_ONCE"] ?? 4);
const ROUND_MAX_MS = 15_000;
/** A loaded machine's share, beyond the budget, ms. */
const SLACK_MS = 2000;
const SNAPSHOT_MAX_BYTES = 65_536;
const TIMEOUT_MIN_SECONDS = 2;

const WAYS = [...RUNTIMES, CURL_JQ];

test(
  `${ROUNDS} random stops`,
  async () => {
    const seed = seedFromEnv();
    const inTurn = limitTo(AT_ONCE);
    const rounds = await Promise.all(
      Array.from({ length: ROUNDS }, (_, i) => inTurn(() => playRound(seed + i))),
    );
    const required = rounds.filter(({ plan }) => plan.mustDeliver).length;
    const delivered = rounds.filter((round) => round.delivered).length;
    console.log(
      `${ROUNDS} random stops: ${delivered} delivered, ${required} of them had to be; SEED=${seed}`,
    );
    expect(rounds.flatMap(({ faults }) => faults)).toEqual([]);
  },
  (ROUNDS / AT_ONCE + 1) * ROUND_MAX_MS,
);

/** Returns what did not hold, each with how to replay it. */
async function playRound(seed: number): Promise<{ plan: StopPlan; delivered: boolean; faults: string[] }> {
  const random = seeded(seed);
  const plan = planStop(
    random,
    WAYS.map(({ name }) => name),
  );
  const history = makeHistory(plan.history, random);
  const faults: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || faults.push(what));

  using home = new Home();
  mkdirSync(home.path(MODULE_DIR_NAME));
  await using coder = await startFakeCoder(plan.coder);
  await using agentApi = await startAgentApi(plan, history, home);
  const { exitCode, stdout, stderr, ms, heldPipes } = await home.stop({
    coder,
    agentApiPort: agentApi.port,
    runtime: WAYS.find(({ name }) => name === plan.runtime)!,
    args: {
      ARG_SHUTDOWN_TIMEOUT: String(plan.timeoutSeconds),
      ARG_ENABLE_STATE_PERSISTENCE: String(plan.persistence),
    },
  });

  must(exitCode === 0, `exit status ${exitCode}`);
  must(ms < plan.timeoutSeconds * 1000 + SLACK_MS, `took ${ms} ms`);
  must(!heldPipes, "held pipes");
  must(stdout.includes("Shutdown complete"), "did not complete");
  must(!`${stdout}${stderr}${home.log()}`.includes(coder.token), "shows the token");
  if (agentApi.process !== null) {
    const ended = await Promise.race([
      agentApi.process.ended().then(() => true),
      Bun.sleep(500).then(() => false),
    ]);
    must(ended, "AgentAPI still runs");
    // With the shortest budget, SIGKILL may come before the process could note what it got.
    const noted =
      agentApi.process.signals().includes("SIGTERM") || plan.timeoutSeconds === TIMEOUT_MIN_SECONDS;
    must(noted && stdout.includes("Sending SIGTERM to AgentAPI"), "AgentAPI got no SIGTERM");
  }
  faults.push(...faultsOfBodies(coder));
  const snapshot = coder.readSnapshot();
  const delivered = snapshot.length > 0;
  must(delivered || !plan.mustDeliver, "was not delivered");
  if (delivered)
    must(snapshot.at(-1)!.content.endsWith(newestEnd(history)), "lacks the newest message's end");

  if (faults.length > 0) {
    const log = [
      JSON.stringify(plan),
      stdout,
      stderr,
      JSON.stringify(coder.requests.map(({ atMs, status }) => [Math.round(atMs), status])),
    ];
    console.error(
      [`SEED=${seed} ROUNDS=1 bun test test/shutdown-random.test.ts`, ...faults, ...log].join("\n"),
    );
  }
  return { plan, delivered, faults: faults.map((fault) => `SEED=${seed}: ${fault}`) };
}

/** Every body that arrived whole, whatever became of it. */
function faultsOfBodies(coder: FakeCoder): string[] {
  return coder.requests.flatMap(({ body, headers, status }) => {
    if (body.length > SNAPSHOT_MAX_BYTES) return [`a body of ${body.length} bytes`];
    if (status === 400) return ["Coder could not read a body"];
    if (String(body.length) !== headers["content-length"]) return [];
    const messages = decodeSnapshot(body);
    const readable = messages?.every(
      ({ role, content }) => /^(user|agent)$/.test(role) && !content.includes("\0"),
    );
    return readable === true ? [] : ["a body that Coder's reader or database refuses"];
  });
}
