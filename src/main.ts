// The order of a shutdown, nothing else. Whatever happens to a step, the next one runs and the exit status is 0.
import { readConfig } from "./config.ts";
import { Deadline } from "./deadline.ts";
import { ShutdownError } from "./errors.ts";
import { openLog } from "./log.ts";
import { findAgentApi } from "./process.ts";
import { captureSnapshot, saveState, stopAgentApi } from "./shutdown.ts";

/** Tells the launcher to try the next runtime; nothing has been done yet. */
const EXIT_RUNTIME_TOO_OLD = 64;
const NODE_MIN_MAJOR = 18;
/** Time kept for ending AgentAPI: a terminal agent needs about 2 s to leave; at most this share of the budget. */
const STOP_RESERVE_MS = 3000;
const STOP_RESERVE_SHARE = 0.4;
/** The runtime's own end takes a moment too, ms. */
const EXIT_RESERVE_MS = 300;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = openLog(config.logFile, [config.coderToken]);
  const budget = Deadline.in(config.budgetMs - process.uptime() * 1000 - EXIT_RESERVE_MS);

  const step = async <T>(action: () => T | Promise<T>, afterFailure?: string): Promise<T | null> => {
    try {
      return await action();
    } catch (error) {
      log.error(error instanceof ShutdownError ? error.message : String((error as Error).stack));
      if (afterFailure !== undefined) log.info(afterFailure);
      return null;
    }
  };

  log.info("Shutting down AgentAPI");
  for (const fault of config.faults) log.error(fault);

  const agentApi = await step(() => findAgentApi(config, log.info));
  const stopReserveMs = Math.min(STOP_RESERVE_MS, config.budgetMs * STOP_RESERVE_SHARE);
  const beforeStop = budget.reserving(agentApi === null ? 0 : stopReserveMs);
  const saving =
    agentApi !== null && config.statePersistence
      ? await step(() => saveState(agentApi, config, beforeStop, log))
      : null;
  await step(
    () => captureSnapshot(config, beforeStop, log, saving?.saved),
    "Log snapshot capture failed, continuing shutdown",
  );
  await saving?.saved;
  if (agentApi !== null) await step(() => stopAgentApi(agentApi, budget, log));

  log.info(`Shutdown complete in ${process.uptime().toFixed(1)} s`);
}

if (
  !process.versions.bun &&
  !process.versions.deno &&
  Number.parseInt(process.versions.node) < NODE_MIN_MAJOR
) {
  process.exit(EXIT_RUNTIME_TOO_OLD);
}
void main().then(() => process.exit(0));
