// End to end: `terraform apply` starts a workspace with a real AgentAPI, `terraform destroy` stops it.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import dedent from "ts-dedent";
import { Conversation } from "./demo/conversation.ts";
import { startFakeCoder } from "./test/fake-coder.ts";
import { freePort } from "./test/free-port.ts";
import { findAttributes, scriptOf } from "./test/state.ts";
import { Terraform, type Variables } from "./test/terraform.ts";
import { Workspace } from "./test/workspace.ts";
import { readTools } from "./tools/inventory.ts";

setDefaultTimeout(60_000);

const tools = readTools();
const agent = join(import.meta.dir, "demo/agent.sh");
const realAgentApi = { PATH: `${dirname(tools.agentapi)}:${process.env["PATH"]}` };

/** Starts the real AgentAPI with the demo's terminal agent. */
const START_SCRIPT = dedent`
  #!/bin/sh
  exec agentapi server --type=custom --port "$2" -- sh '${agent}'
`;

/** A folder with a root configuration alone: nothing is started. */
class Root implements Disposable {
  private readonly dir = mkdtempSync(join(tmpdir(), "root-"));
  readonly terraform: Terraform;

  constructor(variables: Variables, cli = tools.terraforms[0], coderProvider?: string) {
    const options = { variables, ...(coderProvider !== undefined && { coderProvider }) };
    this.terraform = Terraform.synthesizeIn(this.dir, options, cli);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

describe.each([...tools.terraforms])("with $name", (cli) => {
  test("stopping a task's workspace saves the conversation with a real AgentAPI, and ends it", async () => {
    await using coder = await startFakeCoder();
    const port = await freePort();
    await using workspace = new Workspace({
      cli,
      taskId: coder.taskId,
      coder,
      env: realAgentApi,
      variables: { agentapi_port: port, install_agentapi: false, start_script: START_SCRIPT },
    });
    await workspace.start();
    expect(workspace.output("task_id")).toBe(coder.taskId);
    expect(workspace.output("task_app_id")).toMatch(/^[0-9a-f-]{36}$/);
    await new Conversation(port).ask("Please plan the work");

    const { stdout, stderr, exitCode, heldPipes, ms } = await workspace.stop();
    const messages = coder.readSnapshot().map(({ role, content }) => [role, content.trim()]);
    expect(messages.slice(-2)).toEqual([
      ["user", "Please plan the work"],
      ["agent", "Plan: 1. read the failing test. 2. mend the parser. 3. run all tests again."],
    ]);
    expect(stdout).toContain("Sending SIGTERM to AgentAPI");
    expect({ stderr, exitCode, heldPipes }).toEqual({ stderr: "", exitCode: 0, heldPipes: false });
    expect(ms).toBeLessThan(8000);
    expect(fetch(`http://localhost:${port}/status`)).rejects.toThrow();
  });

  test("a workspace that is no task gets the same shutdown script at every plan", async () => {
    using root = new Root({}, cli);
    const state = await root.terraform.apply();
    expect(scriptOf(state, "agentapi_shutdown")).toContain("export ARG_TASK_ID=''\n");
    await root.terraform.run("plan", "-detailed-exitcode", "-input=false");
  });

  test("a base path needs AgentAPI v0.3.3", async () => {
    using root = new Root({ agentapi_subdomain: false, agentapi_version: "v0.3.2" }, cli);
    const failure = await root.terraform.apply().catch(String);
    expect(failure).toContain("Running with subdomain = false is only supported by agentapi >= v0.3.3.");
  });

  test("a wrong value is named, with what is allowed and a good example", async () => {
    using root = new Root({ shutdown_timeout: 1 }, cli);
    const failure = String(await root.terraform.apply().catch(String)).replace(/\s+/g, " ");
    expect(failure).toContain(
      "The shutdown_timeout must be a number of seconds from 2 to 600, for example 8.",
    );
  });
});

test.each([...tools.coderProviders])("applies with coder provider %s", async (version) => {
  using root = new Root({}, tools.terraforms[0], version);
  const state = await root.terraform.apply();
  expect(findAttributes(state, "coder_app", "agentapi_web")?.["slug"]).toBe("test");
});

test("any value reaches the scripts unchanged, and none is run", async () => {
  const hostile = 'it\'s "$HOME" `touch ran` $(touch ran) ${HOME} \\ *';
  await using workspace = new Workspace({
    env: realAgentApi,
    variables: {
      agentapi_port: await freePort(),
      install_agentapi: false,
      module_dir_name: `.${hostile}`,
      folder: "/tmp",
      pre_install_script: `#!/bin/sh\n# ${hostile}\n: '\n\n'`,
      start_script: START_SCRIPT,
    },
  });
  await workspace.start();
  const folder = workspace.path(`.${hostile}`);
  expect(readFileSync(join(folder, "pre_install.sh"), "utf8").trimEnd()).toBe(
    `#!/bin/sh\n# ${hostile}\n: '\n\n'`,
  );
  await workspace.stop();
  expect(readFileSync(join(folder, "agentapi-shutdown.log"), "utf8")).toContain("Shutdown complete");
  expect(existsSync(workspace.path("ran"))).toBe(false);
});

test("the rendered shutdown script stays far below Linux's limit for one argument", async () => {
  using root = new Root({
    task_id: crypto.randomUUID(),
    module_dir_name: ".claude-module",
    pid_file_path: "/home/coder/.claude-module/agentapi.pid",
  });
  const script = scriptOf(await root.terraform.apply(), "agentapi_shutdown");
  expect(Buffer.byteLength(script)).toBeLessThanOrEqual(48 * 1024);
});

test("the module is small enough for a template's archive of 1 MiB", () => {
  const files = ["main.tf", "variables.tf", "outputs.tf", "README.md"];
  const scripts = [...new Bun.Glob("scripts/*").scanSync(import.meta.dir)];
  const bytes = [...files, ...scripts].map((file) => statSync(join(import.meta.dir, file)).size);
  expect(bytes.reduce((sum, size) => sum + size)).toBeLessThan(200 * 1024);
});

test("every rule of a variable names it, and gives an example", () => {
  const source = readFileSync(join(import.meta.dir, "variables.tf"), "utf8");
  const variables = source.split(/^variable /m).slice(1);
  for (const variable of variables) {
    const name = /^"(\w+)"/.exec(variable)![1]!;
    expect(variable, name).toMatch(/^  description = "[A-Z].*\."$/m);
    for (const [, message] of variable.matchAll(/error_message = "(.*)"/g)) {
      expect(message).toStartWith(`The ${name} must `);
      expect(message).toContain("for example");
    }
  }
});

// Mocked providers came with Terraform 1.7.
const testable = tools.terraforms.filter(
  ({ kind, version }) => kind === "opentofu" || Bun.semver.satisfies(version, ">=1.7.0"),
);
test.each(testable)("agentapi.tftest.hcl passes with $name", async (cli) => {
  const dir = mkdtempSync(join(tmpdir(), "tftest-"));
  try {
    for (const pattern of ["*.tf", "*.tftest.hcl", "scripts/*.sh"]) {
      for (const file of new Bun.Glob(pattern).scanSync(import.meta.dir)) {
        await Bun.write(join(dir, file), Bun.file(join(import.meta.dir, file)));
      }
    }
    const terraform = Terraform.in(dir, cli);
    await terraform.run("init", "-input=false");
    expect(await terraform.run("test")).toMatch(/[1-9]\d* passed, 0 failed/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
