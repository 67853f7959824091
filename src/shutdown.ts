// The steps of a shutdown; each says what it did, and none keeps the next from its turn.
import { fetchHistory, type History } from "./agentapi.ts";
import { postSnapshot } from "./coder.ts";
import type { Config } from "./config.ts";
import type { Deadline } from "./deadline.ts";
import { ShutdownError } from "./errors.ts";
import type { Log } from "./log.ts";
import { savesStateOnSignal, sendSignal, waitUntilGone } from "./process.ts";
import type { ProcessInfo } from "./process-table.ts";
import { buildSnapshot } from "./snapshot.ts";
import { fileVersion, readStateFile, waitForNewFile } from "./state-file.ts";

/** Part of the snapshot's time that AgentAPI may take to answer; the rest is for Coder. */
const FETCH_SHARE = 0.6;
/** AgentAPI saves within milliseconds, or not at all when it has nothing new to save. */
const SAVE_MAX_MS = 1000;
/** Time between SIGKILL and the end of the budget, ms. */
const KILL_RESERVE_MS = 400;

/**
 * Asks AgentAPI to write its state file, where it is meant to and able to. Returns at once; the promise inside is
 * fulfilled when the file is written, or won't be.
 */
export async function saveState(agentApi: ProcessInfo, { stateFile }: Config, deadline: Deadline, log: Log) {
  const { saves, version } = await savesStateOnSignal(agentApi);
  if (!saves) {
    log.info(`Warning: state is not saved, ${version} is older than 0.12.0`);
    return { saved: Promise.resolve() };
  }
  const before = stateFile === null ? "" : fileVersion(stateFile);
  log.info(`Sending SIGUSR1 to AgentAPI (pid ${agentApi.pid}) to save state`);
  const failure = sendSignal(agentApi, "SIGUSR1");
  if (failure !== null) log.error(`SIGUSR1 did not reach AgentAPI: ${failure}`);
  if (failure !== null || stateFile === null) return { saved: Promise.resolve() };
  const saved = waitForNewFile(stateFile, before, deadline.capped(SAVE_MAX_MS)).then((isNew) =>
    log.info(isNew ? "AgentAPI saved its state" : "AgentAPI did not write its state file anew"),
  );
  return { saved };
}

/** Posts the end of the conversation to Coder; `saved` tells when the state file is new, or won't be. Throws when a snapshot that was wanted could not be delivered. */
export async function captureSnapshot(
  config: Config,
  deadline: Deadline,
  log: Log,
  saved?: Promise<void>,
): Promise<void> {
  if (!config.snapshotEnabled) return log.info("Log snapshot disabled, skipping");
  if (config.taskId === "") return log.info("No task ID, skipping log snapshot");

  const { messages, total } = await readHistory(
    config,
    deadline.capped(deadline.remainingMs() * FETCH_SHARE),
    log,
    saved,
  );
  const snapshot = buildSnapshot(messages, total);
  if (snapshot.messageCount > 0) log.info(`Retrieved ${messages.length} messages for log snapshot`);
  for (const note of snapshot.notes) log.info(note);
  if (snapshot.messageCount === 0) return log.info("No messages for log snapshot");

  await postSnapshot(config, snapshot.body, deadline, log);
}

/** From AgentAPI, or from the state file that it left. */
async function readHistory(
  config: Config,
  deadline: Deadline,
  log: Log,
  saved?: Promise<void>,
): Promise<History> {
  log.info(`Fetching messages from AgentAPI on port ${config.agentApiPort}`);
  try {
    return await fetchHistory(config.agentApiPort, config.maxMessages, deadline);
  } catch (error) {
    if (!(error instanceof ShutdownError) || !config.statePersistence || config.stateFile === null)
      throw error;
    log.error(error.message);
    await saved;
    const history = readStateFile(config.stateFile, config.maxMessages);
    log.info(`AgentAPI does not answer, using its state file ${config.stateFile}`);
    return history;
  }
}

/** Ends AgentAPI politely, and by force when it outlasts the budget. */
export async function stopAgentApi(agentApi: ProcessInfo, deadline: Deadline, log: Log): Promise<void> {
  log.info(`Sending SIGTERM to AgentAPI (pid ${agentApi.pid})`);
  const failure = sendSignal(agentApi, "SIGTERM");
  if (failure !== null) return log.info(`SIGTERM did not reach AgentAPI: ${failure}`);
  const killReserveMs = Math.min(KILL_RESERVE_MS, deadline.remainingMs() / 2);
  if (await waitUntilGone(agentApi, deadline.reserving(killReserveMs))) return;

  log.info(`Warning: AgentAPI (pid ${agentApi.pid}) ignores SIGTERM and time is up, sending SIGKILL`);
  sendSignal(agentApi, "SIGKILL");
  if (!(await waitUntilGone(agentApi, deadline)))
    log.error(`AgentAPI (pid ${agentApi.pid}) is still running`);
}
