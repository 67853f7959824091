import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartWorkspace } from "./fake-start-workspace.ts";

setDefaultTimeout(60_000);

const LINUX = existsSync("/proc/self/environ");

describe("a start", () => {
  let ws: StartWorkspace;
  beforeAll(async () => {
    ws = await StartWorkspace.create({ variables: { install_script: 'echo "$RUN" >"$HOME/installed"' } });
    await ws.start();
    await ws.end();
  });
  afterEach(async () => {
    rmSync(ws.modulePath("agentapi.pid"), { recursive: true, force: true });
    await ws.end();
  });
  afterAll(() => ws[Symbol.asyncDispose]());

  /** A process whose program is named agentapi, started with this PID file; it serves no port. */
  function startNamesake(pidFile: string): ChildProcess {
    // In place of the last one's, which may still run for a moment.
    rmSync(join(ws.dir, "agentapi"), { force: true });
    copyFileSync("/bin/sleep", join(ws.dir, "agentapi"));
    return spawn(join(ws.dir, "agentapi"), ["60"], { env: { AGENTAPI_PID_FILE: pidFile } });
  }

  test("while AgentAPI still runs renews the scripts, leaves AgentAPI alone, and succeeds", async () => {
    await ws.startAgain({ env: { RUN: "first" } });
    const { exitCode, stdout } = await ws.startAgain({ env: { RUN: "second" } });
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`AgentAPI already runs on port ${ws.port}`);
    expect(ws.read("installed")).toBe("second");
    expect(ws.started()).toHaveLength(1);
    expect((await fetch(`http://localhost:${ws.port}/status`)).status).toBe(200);
  });

  test.if(LINUX)("fails when another module's AgentAPI has the port", async () => {
    await ws.startAgain({ env: { HOME: ws.dir } });
    const { exitCode, stderr } = await ws.startAgain();
    await ws.end(ws.dir);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`port ${ws.port} is already in use by another module's AgentAPI`);
    expect(stderr).toContain("agentapi_port");
    expect(ws.started()).toEqual([]);
  });

  test("fails when a web server that is not AgentAPI has the port", async () => {
    const server = Bun.serve({ port: ws.port, hostname: "127.0.0.1", fetch: () => new Response("hello") });
    const { exitCode, stderr } = await ws.startAgain();
    await server.stop(true);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`port ${ws.port} is already in use by something that is not AgentAPI`);
    if (LINUX) expect(stderr).toContain(`process ${process.pid}`);
    expect(stderr).toContain("set agentapi_port");
    expect(ws.started()).toEqual([]);
  });

  test.if(LINUX)("fails when a server that speaks no HTTP has the port", async () => {
    const server = Bun.listen({
      port: ws.port,
      hostname: "127.0.0.1",
      socket: { data() {}, open: (it) => void it.end() },
    });
    const { exitCode, stderr } = await ws.startAgain();
    server.stop(true);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`port ${ws.port} is already in use by something that is not AgentAPI`);
  });

  test("does not mind a PID file whose number belongs to another process now", async () => {
    const stranger = spawn("sleep", ["60"]);
    writeFileSync(ws.modulePath("agentapi.pid"), `${stranger.pid}\n`);
    const { exitCode, stdout } = await ws.startAgain();
    const alive = stranger.exitCode === null;
    stranger.kill();
    expect({ exitCode, alive }).toEqual({ exitCode: 0, alive: true });
    expect(stdout).toContain("Removing the PID file");
    expect(ws.read(".test-module/agentapi.pid")).toBe(String(ws.started()[0]));
  });

  test.if(LINUX)(
    "does not mind a PID file whose number belongs to another module's AgentAPI now",
    async () => {
      const other = startNamesake("/another/agentapi.pid");
      writeFileSync(ws.modulePath("agentapi.pid"), `${other.pid}\n`);
      const { exitCode } = await ws.startAgain();
      other.kill();
      expect(exitCode).toBe(0);
    },
  );

  test("leaves the PID file of its own AgentAPI alone, which then says itself that it runs", async () => {
    const own = startNamesake(ws.modulePath("agentapi.pid"));
    writeFileSync(ws.modulePath("agentapi.pid"), `${own.pid}\n`);
    const { exitCode, stdout, stderr } = await ws.startAgain();
    own.kill();
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `AgentAPI runs already (process ${own.pid}), but does not serve port ${ws.port}`,
    );
    expect(stdout).toContain(`another instance is already running with PID ${own.pid}`);
  });

  test("does not mind a PID file that holds no number", async () => {
    writeFileSync(ws.modulePath("agentapi.pid"), "garbage\n");
    const { exitCode, stdout } = await ws.startAgain();
    expect(exitCode).toBe(0);
    expect(stdout).toContain("which holds no process number");
  });

  test("says so when a folder stands where the PID file goes", async () => {
    mkdirSync(ws.modulePath("agentapi.pid"));
    const { exitCode, stderr } = await ws.startAgain();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("agentapi.pid is no regular file; remove it or set pid_file_path");
  });
});
