// Finds the AgentAPI process without ever taking a stranger for it, signals it, and waits for its end.
import { execFile } from "node:child_process";
import type { Deadline } from "./deadline.ts";
import { readPidFile } from "./pid-file.ts";
import { inspectProcess, listenersOn, listeningPorts, type ProcessInfo } from "./process-table.ts";

export interface Search {
  readonly pidFile: string | null;
  readonly agentApiPort: number;
}

/** A process's start, as the kernel counts it, and a file's time may differ by this much, ms. */
const CLOCK_SLACK_MS = 2000;
const POLL_MS = 50;
const VERSION_TIMEOUT_MS = 1000;
/** The first AgentAPI that survives SIGUSR1; older ones die of it. */
const STATE_SAVE_SINCE = [0, 12, 0] as const;

/**
 * Returns the AgentAPI that serves the port: the one the PID file names, else (old binaries write none) the one that
 * listens. `explain` is told why a process that the PID file names is left alone.
 */
export function findAgentApi(
  { pidFile, agentApiPort }: Search,
  explain: (why: string) => void,
): ProcessInfo | null {
  const named = pidFile === null ? null : readPidFile(pidFile);
  if (typeof named === "string") explain(named);
  else if (named !== null) {
    const info = inspectProcess(named.pid);
    if (info === null) explain(`PID file ${pidFile} is stale: process ${named.pid} is gone`);
    else {
      const stranger = whyStranger(info, named.writtenAtMs, agentApiPort);
      if (stranger === null) return info;
      explain(
        `PID file ${pidFile} is stale: process ${named.pid} (${info.executable}) ${stranger}; leaving it alone`,
      );
    }
  }
  return listenersOn(agentApiPort).find(isNamedAgentApi) ?? null;
}

/** Judges by what the process is, never by words on its command line. Returns null for AgentAPI itself. */
function whyStranger(info: ProcessInfo, writtenAtMs: number, port: number): string | null {
  const ports = listeningPorts(info.pid);
  const listens = ports?.includes(port) ?? false;
  if (listens && isNamedAgentApi(info)) return null;
  if (info.startedAtMs > writtenAtMs + CLOCK_SLACK_MS) return "started after the file was written";
  if (listens) return null;
  if (!isNamedAgentApi(info)) return `is not AgentAPI on port ${port}`;
  return ports === null || ports.length === 0 ? null : `listens on port ${ports.join()}, not on ${port}`;
}

function isNamedAgentApi({ executable }: ProcessInfo): boolean {
  return executable.startsWith("agentapi");
}

/** Whether SIGUSR1 makes this AgentAPI save its state. A version that can't be told counts as new enough. */
export async function savesStateOnSignal(info: ProcessInfo): Promise<{ saves: boolean; version: string }> {
  // The file may be gone from its path, or replaced; /proc still names what runs.
  const own =
    isNamedAgentApi(info) && inspectProcess(process.pid) !== null ? `/proc/${info.pid}/exe` : "agentapi";
  const version = await new Promise<string>((resolve) => {
    execFile(own, ["--version"], { timeout: VERSION_TIMEOUT_MS }, (_error, stdout) => resolve(stdout.trim()));
  });
  const parts = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number);
  const different = parts?.findIndex((part, index) => part !== STATE_SAVE_SINCE[index]) ?? -1;
  return {
    saves: different === -1 || parts![different]! > STATE_SAVE_SINCE[different]!,
    version,
  };
}

/** Whether it still is this process: the number alone may be given to a new one at once. */
function isRunning({ pid, startedAtMs }: ProcessInfo): boolean {
  const now = inspectProcess(pid);
  return now !== null && Math.abs(now.startedAtMs - startedAtMs) < CLOCK_SLACK_MS;
}

/** Returns why the signal did not arrive, null when it did. */
export function sendSignal(info: ProcessInfo, signal: "SIGUSR1" | "SIGTERM" | "SIGKILL"): string | null {
  if (!isRunning(info)) return "it is gone";
  try {
    process.kill(info.pid, signal);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ESRCH" ? "it is gone" : code === "EPERM" ? "it belongs to another user" : String(code);
  }
}

/** Waits until the process is gone. Returns false when the deadline comes first. */
export async function waitUntilGone(info: ProcessInfo, deadline: Deadline): Promise<boolean> {
  for (;;) {
    if (!isRunning(info)) return true;
    if (deadline.remainingMs() === 0) return false;
    await deadline.sleep(POLL_MS);
  }
}
