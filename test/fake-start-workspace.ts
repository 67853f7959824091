// A workspace whose start script starts a stand-in for AgentAPI, and which ends what it started.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { freePort } from "./free-port.ts";
import { runScript, type ScriptRun } from "./run-script.ts";
import { closedPath } from "./runtimes.ts";
import type { Variables } from "./terraform.ts";
import { Workspace, type WorkspaceOptions } from "./workspace.ts";

export const MODULE_DIR_NAME = ".test-module";
/** The project's folder, below a new folder of its own; missing at first. */
export const FOLDER_NAME = "a project's $folder";

/** Leaves what AgentAPI gets, for tests to look at, and becomes AgentAPI: `started` holds its process numbers. */
export const START_SCRIPT = `#!/bin/sh
echo $$ >>"$HOME/started"
env >"$HOME/env"
pwd >"$HOME/cwd"
printf '%s\\n' "$@" >"$HOME/arguments"
grep SigIgn /proc/self/status >"$HOME/signals"
exec agentapi --port "$2" $FAKE_FLAGS
`;

/** Text of an `agentapi` that says it is `version`, and else is the stand-in. */
export function fakeAgentApi(version: string): string {
  const old = /^0\.(\d|1[01])\./.test(version) ? " --old" : "";
  return `#!/bin/sh
if [ "$1" = --version ]; then
  echo 'agentapi version ${version}'
  exit
fi
exec '${process.execPath}' '${join(import.meta.dir, "fake-agentapi-process.ts")}'${old} "$@"
`;
}

export interface StartOptions {
  readonly variables?: Variables;
  readonly env?: WorkspaceOptions["env"];
  readonly taskId?: string;
  /** Version of the `agentapi` on PATH; null for none. */
  readonly version?: string | null;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly shell?: readonly string[];
}

export class StartWorkspace extends Workspace {
  private constructor(
    readonly port: number,
    /** First on PATH. */
    readonly bin: string,
    options: WorkspaceOptions,
  ) {
    super(options);
  }

  static async create({
    variables,
    env,
    taskId,
    version = "0.12.0",
  }: StartOptions = {}): Promise<StartWorkspace> {
    const port = await freePort();
    const bin = mkdtempSync(join(tmpdir(), "start-bin-"));
    if (version !== null) addProgram(bin, "agentapi", fakeAgentApi(version));
    return new StartWorkspace(port, bin, {
      variables: {
        module_dir_name: MODULE_DIR_NAME,
        folder: join(bin, FOLDER_NAME),
        start_script: START_SCRIPT,
        install_agentapi: false,
        agentapi_port: port,
        ...variables,
      },
      env: {
        PATH: bin + delimiter + process.env["PATH"],
        // Nothing may reach the machine's own /usr/local/bin.
        AGENTAPI_INSTALL_DIR: join(bin, "for-all-users"),
        FAKE_FLAGS: "",
        ...env,
      },
      ...(taskId !== undefined && { taskId }),
    });
  }

  addProgram(name: string, text: string): void {
    addProgram(this.bin, name, text);
  }

  /** Runs the rendered start script once more, as after a restart of the agent. */
  startAgain({ env = {}, shell }: RunOptions = {}): Promise<ScriptRun> {
    return runScript(this.script("agentapi"), {
      env: { ...this.env, ...env },
      cwd: this.home,
      ...(shell !== undefined && { shell }),
    });
  }

  /** What stands in a file below the home folder, without spaces around it. */
  read(...names: string[]): string {
    return readFileSync(this.path(...names), "utf8").trim();
  }

  write(name: string, text: string): void {
    writeFileSync(this.path(name), text);
  }

  /** Path below the module's folder. */
  modulePath(...names: string[]): string {
    return this.path(MODULE_DIR_NAME, ...names);
  }

  /** Variables of AgentAPI's environment whose names start with `prefix`. */
  agentApiEnv(prefix: string): Record<string, string> {
    const lines = this.read("env").split("\n");
    const pairs = lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
    return Object.fromEntries(pairs.filter(([name]) => name!.startsWith(prefix))) as Record<string, string>;
  }

  /** Process numbers of every AgentAPI that the start script started. */
  started(home = this.home): number[] {
    const file = join(home, "started");
    return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").map(Number) : [];
  }

  /** Ends every AgentAPI that was started, as a killed container does: without a chance to clean up. */
  async end(home = this.home): Promise<void> {
    for (const pid of this.started(home)) {
      signal(pid, "SIGKILL");
      while (isAlive(pid)) await Bun.sleep(5);
    }
    rmSync(join(home, "started"), { force: true });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    // No stop: Terraform's own files go with the folder, and nothing else is left.
    rmSync(this.dir, { recursive: true, force: true });
    rmSync(this.bin, { recursive: true, force: true });
  }
}

/** Programs that the start script needs beside a way to ask for the status. */
export function minimalPath(...programs: string[]): string {
  const needed = ["awk", "chmod", "cp", "dirname", "grep", "ln", "ls", "mv", "od", "readlink", "sed"];
  return closedPath(...needed, ...programs);
}

export function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

export function isAlive(pid: number): boolean {
  return signal(pid, 0);
}

/** Returns whether there was such a process. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false; // it is gone
  }
}

function addProgram(folder: string, name: string, text: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}
