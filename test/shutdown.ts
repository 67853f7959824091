// Runs the shutdown script that Terraform rendered against fakes, in one of the runtimes.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FakeCoder } from "./fake-coder.ts";
import { runScript, type ScriptRun } from "./run-script.ts";
import type { Runtime } from "./runtimes.ts";
import { scriptOf } from "./state.ts";
import { Terraform } from "./terraform.ts";
import { agentEnv } from "./workspace.ts";

export interface Stop {
  readonly coder?: FakeCoder;
  readonly agentApiPort?: number;
  readonly runtime: Runtime;
  /** Values of ARG_* that Terraform would render from other variables. */
  readonly args?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly shell?: readonly string[];
}

export const MODULE_DIR_NAME = ".test-module";

/** A home folder that goes with the test. */
export class Home implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "home-"));

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  /** What the shutdown wrote to its log file. */
  log(): string {
    const file = this.path(MODULE_DIR_NAME, "agentapi-shutdown.log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Stops the workspace: runs the script as the agent does. */
  async stop(stop: Stop): Promise<ScriptRun> {
    const { coder, agentApiPort, runtime, args = {}, env = {}, shell } = stop;
    const script = withArgs(await renderedScript(), {
      ...(coder !== undefined && { ARG_TASK_ID: coder.taskId }),
      ...(agentApiPort !== undefined && { ARG_AGENTAPI_PORT: String(agentApiPort) }),
      ...args,
    });
    return runScript(script, {
      env: agentEnv(this.dir, { ...(coder !== undefined && { coder }), env: { PATH: runtime.path, ...env } }),
      cwd: this.dir,
      ...(shell !== undefined && { shell }),
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

let rendered: Promise<string> | undefined;

/** One `terraform apply` serves all tests of a file. */
function renderedScript(): Promise<string> {
  rendered ??= (async () => {
    const dir = mkdtempSync(join(tmpdir(), "rendered-"));
    try {
      const state = await Terraform.synthesizeIn(dir, {
        variables: { module_dir_name: MODULE_DIR_NAME },
      }).apply();
      return scriptOf(state, "agentapi_shutdown");
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  })();
  return rendered;
}

/** Throws when the script has no such line, so that a test never runs with another value than it names. */
function withArgs(script: string, args: Readonly<Record<string, string>>): string {
  return Object.entries(args).reduce((text, [name, value]) => {
    const line = new RegExp(`^export ${name}='.*'$`, "m");
    if (!line.test(text)) throw new Error(`the rendered script does not set ${name}`);
    return text.replace(line, () => `export ${name}='${value.replaceAll("'", "'\\''")}'`);
  }, script);
}
