import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { closedPath, RUNTIMES } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

setDefaultTimeout(60_000);

const runtime = RUNTIMES[0]!;
const MESSAGES = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];

function logFileIn(home: Home): string {
  mkdirSync(home.path(MODULE_DIR_NAME), { recursive: true });
  return home.path(MODULE_DIR_NAME, "agentapi-shutdown.log");
}

test("the log file holds every line with its time, for the owner alone", async () => {
  using home = new Home();
  const { stdout } = await home.stop({ runtime });
  const lines = home.log().trimEnd().split("\n");
  for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S/);
  expect(lines.map((line) => line.slice(25))).toEqual(stdout.trimEnd().split("\n"));
  expect(statSync(home.path(MODULE_DIR_NAME, "agentapi-shutdown.log")).mode & 0o777).toBe(0o600);
});

test("the log file keeps earlier stops, and does not grow for ever", async () => {
  using home = new Home();
  writeFileSync(logFileIn(home), `an old line\n${"x".repeat(99)}\n`.repeat(10_000));
  await home.stop({ runtime });
  expect(statSync(logFileIn(home)).size).toBeLessThan(70_000);
  expect(home.log()).toStartWith("an old line\n");
  expect(home.log()).toContain("Shutdown complete");
  await home.stop({ runtime });
  expect(home.log().match(/Shutdown complete/g)).toHaveLength(2);
});

test("a log file that others could read is closed to them", async () => {
  using home = new Home();
  writeFileSync(logFileIn(home), "");
  chmodSync(logFileIn(home), 0o666);
  await home.stop({ runtime });
  expect(statSync(logFileIn(home)).mode & 0o777).toBe(0o600);
});

test.each([
  ["a symbolic link", (file: string, other: string) => symlinkSync(other, file)],
  ["a second name of another file", (file: string, other: string) => linkSync(other, file)],
])("%s in place of the log is not written through", async (_, put) => {
  using home = new Home();
  const other = home.path("other");
  writeFileSync(other, "precious", { mode: 0o644 });
  put(logFileIn(home), other);
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const { stdout, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
  expect(readFileSync(other, "utf8")).toBe("precious");
  expect(statSync(other).mode & 0o777).toBe(0o644);
  expect(stdout).toContain("Warning: no log file at");
  expect(coder.readSnapshot()).toHaveLength(1);
  expect(exitCode).toBe(0);
});

test.each([
  ["the log is a directory", (file: string) => mkdirSync(file, { recursive: true })],
  ["the module's folder is a file", (file: string) => writeFileSync(dirname(file), "")],
])("the snapshot is delivered although %s", async (_, put) => {
  using home = new Home();
  put(home.path(MODULE_DIR_NAME, "agentapi-shutdown.log"));
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
  expect(coder.readSnapshot()).toHaveLength(1);
  expect(stdout).toContain("Warning: no log file at");
});

test("a first stop makes the module's folder, readable by the owner alone", async () => {
  using home = new Home();
  await home.stop({ runtime });
  expect(statSync(home.path(MODULE_DIR_NAME)).mode & 0o777).toBe(0o700);
});

test("the agent's token is in no log, also when a server sends it back", async () => {
  using home = new Home();
  const token = crypto.randomUUID();
  await using coder = await startFakeCoder({
    token,
    fault: { kind: "status", status: 400, body: JSON.stringify({ message: `bad token ${token}` }) },
  });
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const { stdout, stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
  expect(stderr).toContain("bad token [redacted]");
  expect(stdout + stderr + home.log()).not.toContain(token);
});

test("a server's control characters and long pages do not reach the log", async () => {
  using home = new Home();
  await using coder = await startFakeCoder({
    fault: { kind: "status", status: 400, body: `\u001b[2J\u0007${"<p>long page</p>".repeat(10_000)}` },
  });
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const { stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
  expect(stderr).toMatch(/^[\x20-\x7e\n]+$/);
  expect(stderr.length).toBeLessThan(600);
});

test("bad values of the environment are named, and the rest works", async () => {
  using home = new Home();
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const args = { ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES: "many", ARG_SHUTDOWN_TIMEOUT: "soon" };
  const { stderr } = await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
  expect(stderr).toContain(
    'ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES must be a number from 1 to 1000, not "many"; using 10',
  );
  expect(stderr).toContain("ARG_SHUTDOWN_TIMEOUT");
  expect(coder.readSnapshot()).toHaveLength(1);
});

test("an image with nothing to save a snapshot gets one clear line, and exit status 0", async () => {
  using home = new Home();
  const args = { ARG_TASK_ID: crypto.randomUUID() };
  const { stdout, stderr, exitCode } = await home.stop({
    runtime: { name: "none", path: closedPath() },
    args,
  });
  expect(stderr).toBe(
    "Error: log snapshots need Node.js >= 18, Bun, Deno, or curl and jq; not found: curl jq\n",
  );
  expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\nShutdown complete");
  expect(exitCode).toBe(0);
});

test.each([...RUNTIMES])("nothing but the log is written, with $name", async (each) => {
  using home = new Home();
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  mkdirSync(home.path("tmp"));
  await home.stop({ coder, agentApiPort: agentApi.port, runtime: each, env: { TMPDIR: home.path("tmp") } });
  expect(coder.readSnapshot()).toHaveLength(1);
  expect([...new Bun.Glob("**/*").scanSync({ cwd: home.dir, dot: true, onlyFiles: true })]).toEqual([
    `${MODULE_DIR_NAME}/agentapi-shutdown.log`,
  ]);
});
