// Environment -> one frozen value. The only reader of process.env; scripts in main.tf are the writers.
import { homedir } from "node:os";
import { join } from "node:path";
import type { Network } from "./route.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface Config {
  /** Task that the snapshot belongs to; "" when the workspace is no task. */
  readonly taskId: string;
  readonly snapshotEnabled: boolean;
  /** How many of the newest messages a snapshot holds at most. */
  readonly maxMessages: number;
  readonly agentApiPort: number;
  readonly statePersistence: boolean;
  readonly stateFile: string | null;
  readonly pidFile: string | null;
  readonly logFile: string | null;
  /** Time for the whole shutdown, less what the launcher spent before this program, ms. */
  readonly budgetMs: number;
  readonly coderUrl: string;
  readonly coderToken: string;
  readonly network: Network;
  /** What was wrong with the environment; each fault fell back to its default. */
  readonly faults: readonly string[];
}

/** Reads the contract of `ARG_*` and `CODER_*`. An empty value counts as unset. Never throws. */
export function readConfig(env: Env): Config {
  const faults: string[] = [];
  const value = (name: string): string => env[name] ?? "";
  const either = (name: string): string => value(name) || value(name.toLowerCase());

  const boolean = (name: string, fallback: boolean): boolean => {
    const text = value(name);
    if (text === "") return fallback;
    if (text !== "true" && text !== "false") {
      faults.push(`${name} must be true or false, not "${text}"; using ${fallback}`);
      return fallback;
    }
    return text === "true";
  };

  const number = (name: string, fallback: number, min: number, max: number): number => {
    const text = value(name);
    if (text === "") return fallback;
    const parsed = Number(text);
    if (!(parsed >= min && parsed <= max)) {
      faults.push(`${name} must be a number from ${min} to ${max}, not "${text}"; using ${fallback}`);
      return fallback;
    }
    return parsed;
  };

  const home = value("HOME") || homedir();
  const moduleDir = value("ARG_MODULE_DIR_NAME");
  const inModuleDir = (file: string): string | null =>
    moduleDir === "" ? null : join(home, moduleDir, file);

  return Object.freeze({
    taskId: value("ARG_TASK_ID"),
    snapshotEnabled: boolean("ARG_TASK_LOG_SNAPSHOT", true),
    maxMessages: Math.floor(number("ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES", 10, 1, 1000)),
    agentApiPort: Math.floor(number("ARG_AGENTAPI_PORT", 3284, 1, 65535)),
    statePersistence: boolean("ARG_ENABLE_STATE_PERSISTENCE", false),
    stateFile: value("ARG_STATE_FILE_PATH") || inModuleDir("agentapi-state.json"),
    pidFile: value("ARG_PID_FILE_PATH") || inModuleDir("agentapi.pid"),
    logFile: inModuleDir("agentapi-shutdown.log"),
    budgetMs: (number("ARG_SHUTDOWN_TIMEOUT", 8, 2, 600) - number("SECONDS_SPENT", 0, 0, 600)) * 1000,
    coderUrl: value("CODER_AGENT_URL"),
    coderToken: value("CODER_AGENT_TOKEN"),
    network: {
      proxy: { https: either("HTTPS_PROXY"), http: either("HTTP_PROXY"), noProxy: either("NO_PROXY") },
      trust: {
        certFile: value("SSL_CERT_FILE"),
        certDir: value("SSL_CERT_DIR"),
        extraFile: value("NODE_EXTRA_CA_CERTS"),
      },
    },
    faults,
  });
}
