// The steps of a shutdown; each says what it did, and none keeps the next from its turn.
import { fetchHistory } from "./agentapi.ts";
import { postSnapshot } from "./coder.ts";
import type { Config } from "./config.ts";
import type { Deadline } from "./deadline.ts";
import type { Log } from "./log.ts";
import { savesStateOnSignal, sendSignal, waitUntilGone } from "./process.ts";
import type { ProcessInfo } from "./process-table.ts";
import { buildSnapshot } from "./snapshot.ts";

/** Part of the snapshot's time that AgentAPI may take to answer; the rest is for Coder. */
const FETCH_SHARE = 0.6;
/** Time between SIGKILL and the end of the budget, ms. */
const KILL_RESERVE_MS = 400;

/** Lets AgentAPI write its state file, where it is asked to and able to. */
export async function saveState(agentApi: ProcessInfo, log: Log): Promise<void> {
  const { saves, version } = await savesStateOnSignal(agentApi);
  if (!saves) return log.info(`Warning: state is not saved, ${version} is older than 0.12.0`);
  log.info(`Sending SIGUSR1 to AgentAPI (pid ${agentApi.pid}) to save state`);
  const failure = sendSignal(agentApi, "SIGUSR1");
  if (failure !== null) log.error(`SIGUSR1 did not reach AgentAPI: ${failure}`);
}

/** Posts the end of the conversation to Coder. Throws when a snapshot that was wanted could not be delivered. */
export async function captureSnapshot(config: Config, deadline: Deadline, log: Log): Promise<void> {
  if (!config.snapshotEnabled) return log.info("Log snapshot disabled, skipping");
  if (config.taskId === "") return log.info("No task ID, skipping log snapshot");

  log.info(`Fetching messages from AgentAPI on port ${config.agentApiPort}`);
  const { messages, total } = await fetchHistory(
    config.agentApiPort,
    config.maxMessages,
    deadline.capped(deadline.remainingMs() * FETCH_SHARE),
  );
  const snapshot = buildSnapshot(messages, total);
  if (snapshot.messageCount > 0) log.info(`Retrieved ${messages.length} messages for log snapshot`);
  for (const note of snapshot.notes) log.info(note);
  if (snapshot.messageCount === 0) return log.info("No messages for log snapshot");

  await postSnapshot(config, snapshot.body, deadline, log);
}

/** Ends AgentAPI politely, and by force when it outlasts the budget. */
export async function stopAgentApi(agentApi: ProcessInfo, deadline: Deadline, log: Log): Promise<void> {
  log.info(`Sending SIGTERM to AgentAPI (pid ${agentApi.pid})`);
  const failure = sendSignal(agentApi, "SIGTERM");
  if (failure !== null) return log.info(`SIGTERM did not reach AgentAPI: ${failure}`);
  if (await waitUntilGone(agentApi, deadline.reserving(KILL_RESERVE_MS))) return;

  log.info(`Warning: AgentAPI (pid ${agentApi.pid}) ignores SIGTERM and time is up, sending SIGKILL`);
  sendSignal(agentApi, "SIGKILL");
  await waitUntilGone(agentApi, deadline);
}
