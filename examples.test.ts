// The examples apply, and so does what the README shows.
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Conversation } from "./demo/conversation.ts";
import { startFakeCoder } from "./test/fake-coder.ts";
import { freePort } from "./test/free-port.ts";
import { runScript } from "./test/run-script.ts";
import { scriptOf } from "./test/state.ts";
import { Terraform } from "./test/terraform.ts";
import { agentEnv } from "./test/workspace.ts";
import { readTools } from "./tools/inventory.ts";

setDefaultTimeout(60_000);

/** A copy of the module with its examples, so that no test leaves files in the repository. */
class Copy implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "examples-"));

  constructor() {
    for (const name of ["main.tf", "variables.tf", "outputs.tf", "scripts", "examples"]) {
      cpSync(join(import.meta.dir, name), join(this.dir, name), { recursive: true });
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

test("examples/workspace applies", async () => {
  using copy = new Copy();
  const state = await Terraform.in(join(copy.dir, "examples/workspace")).apply();
  expect(scriptOf(state, "agentapi_shutdown")).toContain("export ARG_ENABLE_STATE_PERSISTENCE='true'\n");
});

test("examples/task applies as a task, starts its agent, and saves the conversation", async () => {
  using copy = new Copy();
  await using coder = await startFakeCoder();
  const home = join(copy.dir, "home");
  mkdirSync(home);
  const port = await freePort();
  const dir = join(copy.dir, "examples/task");
  writeFileSync(
    join(dir, "terraform.tfvars.json"),
    JSON.stringify({ install_agentapi: false, agentapi_port: port, folder: join(home, "project") }),
  );
  const terraform = Terraform.in(dir, readTools().terraforms[0], { CODER_TASK_ID: coder.taskId });
  const state = await terraform.apply();

  const path = `${dirname(readTools().agentapi)}:${process.env["PATH"]}`;
  const options = { env: agentEnv(home, { coder, env: { PATH: path } }), cwd: home };
  const start = await runScript(scriptOf(state, "agentapi"), options);
  expect({ exitCode: start.exitCode, heldPipes: start.heldPipes }).toEqual({ exitCode: 0, heldPipes: false });
  expect(await new Conversation(port).ask("hello there")).toContain("You said: hello there");

  const stop = await runScript(scriptOf(state, "agentapi_shutdown"), options);
  expect(stop.exitCode).toBe(0);
  const saved = coder.readSnapshot().map(({ content }) => content.trim());
  expect(saved).toContain("hello there");
});

test("what the README shows applies", async () => {
  using copy = new Copy();
  const readme = readFileSync(join(import.meta.dir, "README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```tf\n(.*?)^```$/gms)].map(([, code]) => code!);
  expect(blocks.length).toBeGreaterThan(1);
  const dir = join(copy.dir, "readme");
  mkdirSync(dir);
  const around = `
    terraform {
      required_providers {
        coder = { source = "coder/coder" }
      }
    }
    data "coder_task" "me" {}
    resource "coder_agent" "main" {
      os   = "linux"
      arch = "amd64"
    }
  `;
  const code = blocks.join("\n");
  expect(code).toContain('source = "../agentapi"');
  writeFileSync(join(dir, "main.tf"), around + code.replaceAll('"../agentapi"', '"../"'));
  await Terraform.in(dir, readTools().terraforms[0], { CODER_TASK_ID: crypto.randomUUID() }).apply();
});
