// Stands in for the Coder agent: runs the workspace's start or stop scripts, taken from Terraform's state, in parallel.
// Called by the provisioners of the workspace's null_resource: agent.ts start|stop WORKSPACE_DIR
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runScript, type ScriptRun } from "./run-script.ts";
import { readState } from "./state.ts";

export interface AgentSettings {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export const SETTINGS_FILE = "agent.json";

export function runFile(workspaceDir: string, script: string): string {
  return join(workspaceDir, `run-${script}.json`);
}

if (import.meta.main) {
  const [phase, workspaceDir] = process.argv.slice(2) as [string, string];
  const settings = JSON.parse(readFileSync(join(workspaceDir, SETTINGS_FILE), "utf8")) as AgentSettings;
  const scripts = readState(workspaceDir)
    .resources.filter(({ type }) => type === "coder_script")
    .map(({ name, instances }) => ({ name, attributes: instances[0]!.attributes }))
    .filter(({ attributes }) => attributes[phase === "start" ? "run_on_start" : "run_on_stop"] === true);
  if (scripts.length === 0) throw new Error(`no script runs on ${phase}`);

  const runs = await Promise.all(
    scripts.map(async ({ name, attributes }): Promise<ScriptRun> => {
      const run = await runScript(attributes["script"] as string, settings);
      writeFileSync(runFile(workspaceDir, name), JSON.stringify(run));
      process.stdout.write(run.stdout + run.stderr);
      return run;
    }),
  );
  process.exit(runs.every(({ exitCode }) => exitCode === 0) ? 0 : 1);
}
