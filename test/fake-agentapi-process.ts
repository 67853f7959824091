// AgentAPI as a process: PID file, state file and signals around the HTTP side of fake-agentapi.ts.
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type FakeAgentApiOptions, startFakeAgentApi } from "./fake-agentapi.ts";

interface ServedMessage {
  id: number;
  content: string;
  role: string;
  time: string;
}

const { values: args } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    hostname: { type: "string", default: "127.0.0.1" },
    /** A JSON file with the messages to serve and to save. */
    messages: { type: "string" },
    /** Gets a line "<milliseconds since 1970> <signal>" for each signal received. */
    signals: { type: "string" },
    "ignore-term": { type: "boolean", default: false },
    "term-delay-ms": { type: "string", default: "0" },
    /** JSON of FakeAgentApiOptions that go before the others: `faults`, `fault`, `raw`. */
    http: { type: "string", default: "{}" },
    /** A binary before 0.12.0: no PID file, no state file, and SIGUSR1 ends it. */
    old: { type: "boolean", default: false },
  },
});

const messages = args.messages ? (JSON.parse(readFileSync(args.messages, "utf8")) as ServedMessage[]) : [];
const pidFile = args.old ? undefined : process.env["AGENTAPI_PID_FILE"] || undefined;
const stateFile =
  !args.old && process.env["AGENTAPI_SAVE_STATE"] === "true"
    ? process.env["AGENTAPI_STATE_FILE"] || undefined
    : undefined;
const allowedHosts = process.env["AGENTAPI_ALLOWED_HOSTS"]?.split(" ").filter(Boolean);

if (pidFile) claimPidFile(pidFile);
for (const signal of ["SIGUSR1", "SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(signal, () => void receive(signal));
}
const server = await startFakeAgentApi({
  port: Number(args.port),
  hostname: args.hostname,
  messages,
  ...(allowedHosts?.length && { allowedHosts }),
  ...(JSON.parse(args.http) as FakeAgentApiOptions),
});
console.log(JSON.stringify({ port: server.port, pid: process.pid }));

async function receive(signal: NodeJS.Signals): Promise<void> {
  if (args.signals) appendFileSync(args.signals, `${Date.now()} ${signal}\n`);
  if (args.old && (signal === "SIGUSR1" || signal === "SIGHUP")) return dieOf(signal);
  if (signal === "SIGTERM" && args["ignore-term"]) return;
  saveState();
  if (signal === "SIGUSR1") return;
  await sleep(Number(args["term-delay-ms"]));
  if (pidFile) rmSync(pidFile, { force: true });
  // The old binary ends with the status of the agent that it killed.
  process.exit(args.old ? 1 : 0);
}

function dieOf(signal: NodeJS.Signals): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function claimPidFile(file: string): void {
  if (existsSync(file)) {
    const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
    if (isAlive(pid)) {
      console.error(`another instance is already running with PID ${pid} (PID file: ${file})`);
      process.exit(1);
    }
    console.error(`Found stale PID file, will overwrite: ${file}`);
  }
  writeFileSync(file, `${process.pid}\n`);
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // alive, and somebody else's
  }
}

function saveState(): void {
  if (!stateFile) return;
  const state = {
    version: 1,
    messages: messages.map(({ id, content, role, time }) => ({ id, message: content, role, time })),
    initial_prompt: "",
    initial_prompt_sent: true,
  };
  writeFileSync(`${stateFile}.tmp`, JSON.stringify(state));
  renameSync(`${stateFile}.tmp`, stateFile);
}
