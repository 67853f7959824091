import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { AgentApiProcess } from "./agentapi-process.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { closedPath, RUNTIMES } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

const MESSAGES = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];

function pidFileIn(home: Home): string {
  mkdirSync(home.path(MODULE_DIR_NAME), { recursive: true });
  return home.path(MODULE_DIR_NAME, "agentapi.pid");
}

/** An `agentapi` on PATH that only knows its version. */
function fakeBinary(version: string): string {
  const path = closedPath("node");
  writeFileSync(`${path}/agentapi`, `#!/bin/sh\necho 'agentapi version ${version}'\n`, { mode: 0o755 });
  return path;
}

describe.each([...RUNTIMES])("a stop with $name", (runtime) => {
  test("ends AgentAPI after the snapshot, and waits until it is gone", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    const pidFile = pidFileIn(home);
    await using agentApi = await AgentApiProcess.start({
      pidFile,
      messages: MESSAGES,
      flags: ["--term-delay-ms", "400"],
    });
    const { stdout, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(agentApi.signals()).toEqual(["SIGTERM"]);
    expect(existsSync(pidFile)).toBe(false);
    expect(coder.readSnapshot()).toHaveLength(1);
    expect(stdout.indexOf("Log snapshot posted")).toBeLessThan(stdout.indexOf("Sending SIGTERM to AgentAPI"));
    expect(stdout).toContain("Shutdown complete");
    expect(exitCode).toBe(0);
    expect(await agentApi.ended()).toBeNull();
  });

  test("lets AgentAPI save its state before the snapshot, with persistence on", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    const stateFile = home.path("state.json");
    await using agentApi = await AgentApiProcess.start({
      pidFile: pidFileIn(home),
      stateFile,
      messages: MESSAGES,
    });
    const args = { ARG_ENABLE_STATE_PERSISTENCE: "true", ARG_STATE_FILE_PATH: stateFile };
    const { stdout } = await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
    expect(agentApi.signals()).toEqual(["SIGUSR1", "SIGTERM"]);
    expect(readFileSync(stateFile, "utf8")).toContain('"message":"Hello"');
    expect(stdout.indexOf("Sending SIGUSR1 to AgentAPI")).toBeWithin(
      0,
      stdout.indexOf("Log snapshot posted"),
    );
  });

  test("ends an AgentAPI that ignores SIGTERM by force, within the time allowed", async () => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await AgentApiProcess.start({
      pidFile: pidFileIn(home),
      messages: MESSAGES,
      flags: ["--ignore-term"],
    });
    const args = { ARG_SHUTDOWN_TIMEOUT: "2" };
    const { stdout, ms, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
    expect(await agentApi.ended()).toBe("SIGKILL");
    expect(coder.readSnapshot()).toHaveLength(1);
    expect(stdout).toContain("sending SIGKILL");
    expect(ms).toBeLessThan(3000);
    expect(exitCode).toBe(0);
  });

  test("ends AgentAPI although Coder hangs, within the time allowed", async () => {
    using home = new Home();
    await using coder = await startFakeCoder({ fault: { kind: "hang" } });
    await using agentApi = await AgentApiProcess.start({ pidFile: pidFileIn(home), messages: MESSAGES });
    const args = { ARG_SHUTDOWN_TIMEOUT: "2" };
    const { stdout, ms, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
    expect(agentApi.signals()).toEqual(["SIGTERM"]);
    expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
    expect(ms).toBeLessThan(3000);
    expect(exitCode).toBe(0);
  });
});

const [node] = RUNTIMES;

test.each([
  ["0.11.8", ["SIGTERM"]],
  ["0.12.0", ["SIGUSR1", "SIGTERM"]],
  ["0.9.10", ["SIGTERM"]],
  ["1.0.0", ["SIGUSR1", "SIGTERM"]],
  ["nightly", ["SIGUSR1", "SIGTERM"]],
])("agentapi %s gets %p with persistence on", async (version, signals) => {
  using home = new Home();
  const args = { ARG_ENABLE_STATE_PERSISTENCE: "true" };
  await using agentApi = await AgentApiProcess.start({ pidFile: pidFileIn(home) });
  const runtime = { name: "node", path: fakeBinary(version) };
  await home.stop({ agentApiPort: agentApi.port, runtime, args });
  expect(agentApi.signals()).toEqual(signals);
});

describe("a PID file left behind", () => {
  test("never harms the process that now has the number", async () => {
    using home = new Home();
    const stranger = spawn("tail", ["-f", "/dev/null", "agentapi-start.log"], { stdio: "ignore" });
    try {
      writeFileSync(pidFileIn(home), `${stranger.pid}\n`);
      const { stdout, exitCode } = await home.stop({ runtime: node! });
      expect(stdout).toContain(
        `process ${stranger.pid} (tail) is not AgentAPI on port 3284; leaving it alone`,
      );
      expect(stranger.signalCode).toBeNull();
      expect(exitCode).toBe(0);
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  test.each([
    ["of a process that is gone", "4194304\n"],
    ["that names init", "1\n"],
    ["with zero", "0\n"],
    ["with a negative number", "-5\n"],
    ["with garbage", "agentapi\n"],
    ["with a huge number", "99999999999999999999\n"],
    ["that is empty", ""],
    ["of 10 MB", "7".repeat(10_000_000)],
  ])("%s is passed over with a line that says so", async (_, content) => {
    using home = new Home();
    writeFileSync(pidFileIn(home), content);
    const { stdout, stderr, exitCode } = await home.stop({ runtime: node! });
    expect(stdout).toContain(`PID file ${pidFileIn(home)}`);
    expect(stdout).not.toContain("Sending");
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("may be a directory", async () => {
    using home = new Home();
    mkdirSync(pidFileIn(home));
    const { stdout, exitCode } = await home.stop({ runtime: node! });
    expect(stdout).toContain("is no regular file");
    expect(exitCode).toBe(0);
  });
});

test("without a PID file, what listens on the port and is not called agentapi gets no signal", async () => {
  using home = new Home();
  await using agentApi = await AgentApiProcess.start();
  const { stdout } = await home.stop({ agentApiPort: agentApi.port, runtime: node! });
  expect(agentApi.signals()).toEqual([]);
  expect(stdout).toContain("Shutdown complete");
});
