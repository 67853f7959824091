// A workspace for tests: a home folder, the environment that the Coder agent would give, and Terraform that builds it.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TerraformCli } from "../tools/inventory.ts";
import { type AgentSettings, runFile, SETTINGS_FILE } from "./agent.ts";
import { runScript, type ScriptRun } from "./run-script.ts";
import { scriptOf, type State } from "./state.ts";
import { Terraform, type Variables } from "./terraform.ts";

export interface WorkspaceOptions {
  readonly variables?: Variables;
  /** Set: the workspace is this task. */
  readonly taskId?: string;
  readonly coder?: { readonly url: string; readonly token: string };
  /** Added to the agent's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cli?: TerraformCli;
  readonly coderProvider?: string;
}

export class Workspace implements AsyncDisposable {
  /** Holds everything, and goes when the workspace does. */
  readonly dir = mkdtempSync(join(tmpdir(), "workspace-"));
  readonly home = join(this.dir, "home");
  readonly env: Readonly<Record<string, string>>;
  private readonly terraform: Terraform;
  private state: State | null = null;

  constructor(options: WorkspaceOptions = {}) {
    mkdirSync(this.home);
    this.env = agentEnv(this.home, options);
    const settings: AgentSettings = { env: this.env, cwd: this.home };
    writeFileSync(join(this.dir, SETTINGS_FILE), JSON.stringify(settings), { mode: 0o600 });

    const agent = [process.execPath, join(import.meta.dir, "agent.ts")].map((word) => `'${word}'`).join(" ");
    const root = {
      variables: { folder: join(this.home, "project"), ...options.variables },
      workspace: { start: `${agent} start '${this.dir}'`, stop: `${agent} stop '${this.dir}'` },
      ...(options.coderProvider !== undefined && { coderProvider: options.coderProvider }),
    };
    const task = options.taskId === undefined ? {} : { CODER_TASK_ID: options.taskId };
    this.terraform = Terraform.synthesizeIn(this.dir, root, options.cli, task);
  }

  /** `terraform apply`; returns how the start script ran. Throws when the start failed. */
  async start(): Promise<ScriptRun> {
    this.state = await this.terraform.apply();
    return this.runOf("agentapi");
  }

  /** `terraform destroy`; returns how the shutdown script ran. */
  async stop(): Promise<ScriptRun> {
    await this.terraform.destroy();
    this.state = null;
    return this.runOf("agentapi_shutdown");
  }

  output(name: string): unknown {
    return this.state?.outputs[name]?.value;
  }

  /** The text of a script as Terraform rendered it. */
  script(name: "agentapi" | "agentapi_shutdown"): string {
    if (this.state === null) throw new Error("the workspace is not started");
    return scriptOf(this.state, name);
  }

  /** Runs a rendered script once more, outside Terraform: a second start, or a stop with another environment. */
  async run(
    name: "agentapi" | "agentapi_shutdown",
    env: Readonly<Record<string, string>> = {},
  ): Promise<ScriptRun> {
    return runScript(this.script(name), { env: { ...this.env, ...env }, cwd: this.home });
  }

  /** Path below the home folder. */
  path(...names: string[]): string {
    return join(this.home, ...names);
  }

  private runOf(script: string): ScriptRun {
    return JSON.parse(readFileSync(runFile(this.dir, script), "utf8")) as ScriptRun;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state !== null && existsSync(join(this.dir, "terraform.tfstate"))) {
      await this.terraform.destroy().catch(() => {}); // A test that already failed must show its own reason.
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What the agent gives a script: its own environment, which is no login shell's, and Coder's variables. */
export function agentEnv(
  home: string,
  { coder, env = {} }: Pick<WorkspaceOptions, "coder" | "env">,
): Record<string, string> {
  return {
    HOME: home,
    USER: process.env["USER"] ?? "root",
    PATH: process.env["PATH"] ?? "",
    CODER: "true",
    CODER_AGENT_URL: coder?.url ?? "http://127.0.0.1:9/",
    CODER_AGENT_TOKEN: coder?.token ?? "agent-token-of-a-test",
    CODER_SCRIPT_DATA_DIR: join(home, ".coder-script-data"),
    CODER_SCRIPT_BIN_DIR: join(home, ".coder-script-data", "bin"),
    ...env,
  };
}
