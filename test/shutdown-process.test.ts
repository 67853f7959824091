import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { sendSignal } from "../src/process.ts";
import { inspectProcess } from "../src/process-table.ts";
import { AgentApiProcess } from "./agentapi-process.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { DEAD_PORT } from "./free-port.ts";
import { closedPath, CURL_JQ, RUNTIMES } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

setDefaultTimeout(60_000);

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

describe.each([...RUNTIMES, CURL_JQ])("a stop with $name", (runtime) => {
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

  test("older than the process that now has the number harms nobody, on another port or on none", async () => {
    using home = new Home();
    const pidFile = pidFileIn(home);
    await using stranger = await AgentApiProcess.start({ pidFile });
    const hourAgo = new Date(Date.now() - 3_600_000);
    utimesSync(pidFile, hourAgo, hourAgo);
    const { stdout, exitCode } = await home.stop({ agentApiPort: DEAD_PORT, runtime: node! });
    expect(stranger.signals()).toEqual([]);
    expect(stranger.isRunning()).toBe(true);
    expect(stdout).toMatch(/process \d+ \(\S+\) started after the file was written; leaving it alone/);
    expect(exitCode).toBe(0);
  });

  test.each([
    ["reads AgentAPI's log", ["tail", "-f", "LOG"]],
    ["has agentapi in its command line", ["node", "-e", "setInterval(() => {}, 1000)", "agentapi", "3284"]],
  ])("never harms a process that %s and does not listen", async (_, [command, ...args]) => {
    using home = new Home();
    const pidFile = pidFileIn(home);
    const log = home.path(MODULE_DIR_NAME, "agentapi-start.log");
    writeFileSync(log, "AgentAPI\n");
    const stranger = spawn(
      command!,
      args.map((word) => word.replace("LOG", log)),
      { stdio: "ignore" },
    );
    try {
      writeFileSync(pidFile, `${stranger.pid}\n`);
      const { stdout, exitCode } = await home.stop({ agentApiPort: DEAD_PORT, runtime: node! });
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
      expect(stdout).toContain(`process ${stranger.pid} (${command}) is not AgentAPI on port`);
      expect(exitCode).toBe(0);
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  test("of a zombie is stale", async () => {
    using home = new Home();
    // What becomes of the shell never asks for the end of the shell's child.
    const parent = spawn("sh", ["-c", "true & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const pid = await new Promise<string>((resolve) =>
        parent.stdout.once("data", (chunk: Buffer) => resolve(String(chunk).trim())),
      );
      writeFileSync(pidFileIn(home), `${pid}\n`);
      const { stdout, stderr, ms } = await home.stop({ runtime: node! });
      expect(stdout).toContain(`is stale: process ${pid} is gone\n`);
      expect(stderr).toBe("");
      expect(ms).toBeLessThan(4000);
    } finally {
      parent.kill("SIGKILL");
    }
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

test("an AgentAPI that ends by itself during the snapshot is missed by nobody", async () => {
  using home = new Home();
  await using coder = await startFakeCoder({ fault: { kind: "slow-answer", ms: 500 } });
  await using agentApi = await AgentApiProcess.start({ pidFile: pidFileIn(home), messages: MESSAGES });
  const stopping = home.stop({ coder, agentApiPort: agentApi.port, runtime: node! });
  await coder.requestsSeen(1);
  process.kill(agentApi.pid, "SIGKILL");
  const { stdout, stderr, ms, exitCode } = await stopping;
  expect(coder.readSnapshot()).toHaveLength(1);
  expect(stdout).toContain("SIGTERM did not reach AgentAPI: it is gone\n");
  expect(stdout).toContain("Shutdown complete");
  expect(ms).toBeLessThan(5000);
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
});

test("a process that got AgentAPI's number after we looked gets no signal", async () => {
  const successor = spawn("sleep", ["60"], { stdio: "ignore" });
  try {
    const info = inspectProcess(successor.pid!)!;
    const before = { ...info, startedAtMs: info.startedAtMs - 10_000 };
    expect(sendSignal(before, "SIGKILL")).toBe("it is gone");
    await Bun.sleep(100);
    expect(successor.signalCode).toBeNull();
    expect(sendSignal(info, "SIGKILL")).toBeNull();
  } finally {
    successor.kill("SIGKILL");
  }
});

test("two modules in one workspace each save their own conversation and end their own AgentAPI", async () => {
  using home = new Home();
  const tasks = [crypto.randomUUID(), crypto.randomUUID()];
  await using coder = await startFakeCoder({ tasks });
  await using agents = new AsyncDisposableStack();
  const modules = await Promise.all(
    [".first", ".second"].map(async (name, index) => {
      mkdirSync(home.path(name));
      const messages = [{ ...MESSAGES[0], content: name }];
      const agent = agents.use(
        await AgentApiProcess.start({ pidFile: home.path(name, "agentapi.pid"), messages }),
      );
      return { name, agent, args: { ARG_MODULE_DIR_NAME: name, ARG_TASK_ID: tasks[index]! } };
    }),
  );
  await Promise.all(
    modules.map(({ agent, args }) => home.stop({ coder, runtime: node!, agentApiPort: agent.port, args })),
  );
  expect(tasks.map((task) => coder.readSnapshot(task).map(({ content }) => content))).toEqual([
    [".first"],
    [".second"],
  ]);
  expect(modules.map(({ agent }) => agent.signals())).toEqual([["SIGTERM"], ["SIGTERM"]]);
});
