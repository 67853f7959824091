// A root configuration around the module, and the Terraform that applies it: real CLI, real coder provider.
import { realpathSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { NullProvider } from "@cdktf/provider-null/lib/provider";
import { Resource } from "@cdktf/provider-null/lib/resource";
import {
  TerraformHclModule,
  TerraformOutput,
  TerraformProvider,
  TerraformResource,
  TerraformStack,
  Testing,
} from "cdktf";
import { readTools, type TerraformCli } from "../tools/inventory.ts";
import { readState, type State } from "./state.ts";

export const MODULE_DIR = join(import.meta.dir, "..");

export type Variables = Readonly<Record<string, unknown>>;

/** What every consumer has to set. */
export const REQUIRED: Variables = {
  web_app_icon: "/icon/test.svg",
  web_app_display_name: "Test",
  web_app_slug: "test",
  cli_app_display_name: "Test CLI",
  cli_app_slug: "test-cli",
  start_script: "#!/bin/sh\nexit 0\n",
  module_dir_name: ".test-module",
};

export interface RootOptions {
  readonly variables?: Variables;
  /** Set: the root holds a workspace, whose start and stop run these commands. */
  readonly workspace?: { readonly start: string; readonly stop: string };
  readonly coderProvider?: string;
}

/** The root configuration as JSON: a coder agent, the module, and a null_resource that stands for the workspace. */
function synthesize(dir: string, { variables = {}, workspace, coderProvider }: RootOptions): string {
  const tools = readTools();
  const stack = new TerraformStack(Testing.app(), "root");

  new CoderProvider(stack, "coder", coderProvider ?? tools.coderProviders[0]);
  const agent = new TerraformResource(stack, "agent", { terraformResourceType: "coder_agent" });
  agent.addOverride("os", "linux");
  agent.addOverride("arch", "amd64");

  const module = new TerraformHclModule(stack, "agentapi", {
    // Only a relative path is used in place; Terraform copies what an absolute one names.
    source: relative(dir, MODULE_DIR),
    skipAssetCreationFromLocalModules: true,
    variables: { agent_id: agent.getStringAttribute("id"), ...literal({ ...REQUIRED, ...variables }) },
  });
  for (const name of ["task_app_id", "task_id", "shutdown_script"]) {
    new TerraformOutput(stack, name, { value: module.get(name), staticId: true });
  }
  if (workspace !== undefined) {
    new NullProvider(stack, "null");
    new Resource(stack, "workspace", {
      dependsOn: [module],
      provisioners: [
        { type: "local-exec", command: workspace.start },
        { type: "local-exec", when: "destroy", command: workspace.stop },
      ],
    });
  }
  return Testing.synth(stack);
}

/** With a task's ID, the workspace that Terraform builds is that task. */
export interface TaskEnv {
  readonly CODER_TASK_ID?: string;
  readonly CODER_TASK_PROMPT?: string;
}

/** A folder with a root configuration, and the CLI that works on it. */
export class Terraform {
  private constructor(
    private readonly dir: string,
    private readonly task: TaskEnv,
    private readonly cli: TerraformCli,
  ) {}

  /** Works on the configuration that `dir` holds. */
  static in(dir: string, cli: TerraformCli = readTools().terraforms[0], task: TaskEnv = {}): Terraform {
    return new Terraform(dir, task, cli);
  }

  /** Writes a root configuration around the module into `dir`, and works on it. */
  static synthesizeIn(dir: string, root: RootOptions, cli?: TerraformCli, task?: TaskEnv): Terraform {
    writeFileSync(join(dir, "main.tf.json"), synthesize(realpathSync(dir), root));
    return Terraform.in(dir, cli, task);
  }

  async apply(): Promise<State> {
    await this.run("init", "-input=false");
    if (this.cli.kind === "opentofu") {
      // OpenTofu writes the state when an apply ends, too late for the workspace, whose scripts come from the state.
      await this.run("apply", "-auto-approve", "-input=false", "-target=module.agentapi");
    }
    await this.run("apply", "-auto-approve", "-input=false");
    return readState(this.dir);
  }

  async destroy(): Promise<void> {
    await this.run("destroy", "-auto-approve", "-input=false");
  }

  /** Returns what the CLI printed. Throws an Error with it when it failed. */
  async run(...args: string[]): Promise<string> {
    const child = Bun.spawn([this.cli.path, ...args], {
      cwd: this.dir,
      env: terraformEnv(this.task),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (exitCode !== 0) throw new Error(`${this.cli.name} ${args[0]} failed:\n${stdout}${stderr}`);
    return stdout + stderr;
  }
}

function terraformEnv(task: TaskEnv): Record<string, string | undefined> {
  return {
    ...process.env,
    CODER_TASK_ID: undefined,
    CODER_TASK_PROMPT: undefined,
    ...task,
    TF_CLI_CONFIG_FILE: readTools().cliConfig,
    // Colours and hints would come between a test and the words it looks for.
    TF_CLI_ARGS: "-no-color",
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
  };
}

/** In Terraform's JSON syntax too, a string is a template: a test's `${` must stay what it is. */
function literal(variables: Variables): Variables {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [
      name,
      typeof value === "string" ? value.replace(/[$%](?=\{)/g, "$&$&") : value,
    ]),
  );
}

class CoderProvider extends TerraformProvider {
  constructor(stack: TerraformStack, id: string, version: string) {
    super(stack, id, {
      terraformResourceType: "coder",
      terraformGeneratorMetadata: {
        providerName: "coder",
        providerVersion: version,
        providerVersionConstraint: version,
      },
      terraformProviderSource: "coder/coder",
    });
  }
  protected override synthesizeAttributes(): Record<string, unknown> {
    return {};
  }
}
