import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fakeAgentApi, minimalPath, StartWorkspace } from "./fake-start-workspace.ts";
import type { ScriptRun } from "./run-script.ts";
import { findProgram } from "./runtimes.ts";

setDefaultTimeout(60_000);

const DEAD_PROXY = "http://127.0.0.1:9/";
const PROXIES = {
  http_proxy: DEAD_PROXY,
  HTTP_PROXY: DEAD_PROXY,
  all_proxy: DEAD_PROXY,
  ALL_PROXY: DEAD_PROXY,
  NODE_USE_ENV_PROXY: "1",
};
const HAS_IPV6 =
  spawnSync(process.execPath, ["-e", 'Bun.listen({hostname:"::1",port:0,socket:{data(){}}}).stop()'])
    .status === 0;

interface Client {
  readonly name: string;
  readonly path: string;
}
/** A PATH on which a program is the only one that can ask for the status. */
const CLIENTS: Client[] = ["curl", "wget", "node", "bun", "deno"].map((name) => ({
  name,
  path: minimalPath(name),
}));
if (Bun.which("busybox") !== null) {
  const path = minimalPath();
  symlinkSync(findProgram("busybox"), join(path, "wget"));
  CLIENTS.push({ name: "the wget of busybox", path });
}

describe("the start waits until AgentAPI answers", () => {
  let ws: StartWorkspace;
  beforeAll(async () => {
    ws = await StartWorkspace.create({ taskId: crypto.randomUUID() });
    await ws.start();
    await ws.end();
  });
  afterEach(() => ws.end());
  afterAll(() => ws[Symbol.asyncDispose]());

  test.each(CLIENTS)("with nothing but $name, and never by way of a proxy", async ({ path }) => {
    const { exitCode, stdout } = await ws.startAgain({
      env: { ...PROXIES, PATH: ws.bin + delimiter + path },
    });
    expect(exitCode).toBe(0);
    expect(stdout).toContain("is ready");
    expect((await fetch(`http://127.0.0.1:${ws.port}/status`)).status).toBe(200);
  });

  test.if(HAS_IPV6).each(CLIENTS.filter(({ name }) => !/node|deno/.test(name)))(
    "on ::1 as well, with $name",
    async ({ path }) => {
      const { exitCode } = await ws.startAgain({
        env: { PATH: ws.bin + delimiter + path, FAKE_FLAGS: "--hostname ::1" },
      });
      expect(exitCode).toBe(0);
    },
  );

  test("with no program to ask with it says so, and waits until something listens on the port", async () => {
    const { exitCode, stderr } = await ws.startAgain({ env: { PATH: ws.bin + delimiter + minimalPath() } });
    expect(exitCode).toBe(0);
    expect(stderr).toContain("there is none of curl, wget, node, bun and deno");
    expect((await fetch(`http://127.0.0.1:${ws.port}/status`)).status).toBe(200);
  });

  test("and gives up at once when the start script fails, showing the end of its log", async () => {
    const { exitCode, stdout, stderr, ms } = await ws.startAgain({ env: { FAKE_FLAGS: "--bad-flag" } });
    expect(exitCode).toBe(1);
    expect(stdout).toContain("'--bad-flag'");
    expect(stdout).toContain("agentapi-start.sh ended with exit status 1");
    expect(stderr).toContain(`agentapi server did not start on port ${ws.port}`);
    expect(ms).toBeLessThan(5000);
  });

  test("three times in a row", async () => {
    const flaky = `let n = 0; Bun.serve({ port: ${ws.port}, hostname: "127.0.0.1", fetch: () => new Response("{}", { status: ++n % 3 ? 200 : 503 }) })`;
    const { exitCode } = await withAgentApi(`exec '${process.execPath}' -e '${flaky}'`, "1");
    expect(exitCode).toBe(1);
  });

  test("and gives up when the time is over, showing no more than 20 lines of its log", async () => {
    const { exitCode, stdout, stderr } = await withAgentApi(
      'for n in $(seq 30); do echo "line $n"; done; exec sleep 60',
      "0",
    );
    expect(exitCode).toBe(1);
    expect(stdout.match(/^line \d+$/gm)).toHaveLength(20);
    expect(stdout).toContain("line 30\n");
    expect(stderr).toContain(`agentapi server did not start on port ${ws.port}`);
  });

  test("and warns a task's owner when nothing is there that could save the log snapshot", async () => {
    const stderrWith = async (...programs: string[]): Promise<string> => {
      const { stderr } = await ws.startAgain({
        env: { PATH: ws.bin + delimiter + minimalPath(...programs) },
      });
      await ws.end();
      return stderr;
    };
    expect(await stderrWith("curl")).toContain("the log snapshot may be missing");
    expect(await stderrWith("curl", "jq")).toBe("");
    expect(await stderrWith("node")).toBe("");
  });

  /** Starts another program in AgentAPI's place. */
  async function withAgentApi(program: string, timeoutSeconds: string): Promise<ScriptRun> {
    ws.addProgram("agentapi", `#!/bin/sh\n${program}\n`);
    const run = await ws.startAgain({ env: { AGENTAPI_START_TIMEOUT: timeoutSeconds } });
    ws.addProgram("agentapi", fakeAgentApi("0.12.0"));
    return run;
  }
});
