import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const message = { id: 0, content: "hi", role: "agent", time: "2026-01-30T09:31:04+02:00" };

describe("the fake AgentAPI as a process", () => {
  test("says where it listens, serves the messages of a file and keeps a PID file until it ends", async () => {
    await using api = await startProcess();
    expect(await messagesOf(api.port)).toEqual([message]);
    expect(readFileSync(api.file("pid"), "utf8")).toBe(`${api.pid}\n`);
    expect(await api.end("SIGTERM")).toBe(0);
    expect(existsSync(api.file("pid"))).toBe(false);
    expect(readFileSync(api.file("signals"), "utf8")).toMatch(/^\d+ SIGTERM\n$/);
  });

  test("saves its state on SIGUSR1 and goes on", async () => {
    await using api = await startProcess();
    process.kill(api.pid, "SIGUSR1");
    await appears(api.file("state"));
    expect(JSON.parse(readFileSync(api.file("state"), "utf8"))).toEqual({
      version: 1,
      messages: [{ id: 0, message: message.content, role: "agent", time: message.time }],
      initial_prompt: "",
      initial_prompt_sent: true,
    });
    expect(await messagesOf(api.port)).toHaveLength(1);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "saves its state on %s before it ends",
    async (signal) => {
      await using api = await startProcess();
      expect(await api.end(signal)).toBe(0);
      expect(existsSync(api.file("state"))).toBe(true);
    },
  );

  test("saves nothing without AGENTAPI_SAVE_STATE", async () => {
    await using api = await startProcess([], { AGENTAPI_SAVE_STATE: "false" });
    await api.end("SIGTERM");
    expect(existsSync(api.file("state"))).toBe(false);
  });

  test("does not start beside a live process that its PID file names, and leaves the file", async () => {
    const stranger = process.pid;
    await using api = await startProcess([], {}, `${stranger}\n`);
    expect(await api.exited).toBe(1);
    expect(api.stderr()).toContain(`another instance is already running with PID ${stranger}`);
    expect(readFileSync(api.file("pid"), "utf8")).toBe(`${stranger}\n`);
  });

  test("starts over the PID file of a dead process, with a warning", async () => {
    const dead = Bun.spawn(["true"]);
    await dead.exited;
    await using api = await startProcess([], {}, `${dead.pid}\n`);
    expect(api.stderr()).toContain("stale PID file");
    expect(readFileSync(api.file("pid"), "utf8")).toBe(`${api.pid}\n`);
  });

  test("--ignore-term outlives SIGTERM, and SIGKILL leaves the PID file", async () => {
    await using api = await startProcess(["--ignore-term"]);
    process.kill(api.pid, "SIGTERM");
    await appears(api.file("signals"));
    expect(await messagesOf(api.port)).toHaveLength(1);
    await api.end("SIGKILL");
    expect(existsSync(api.file("pid"))).toBe(true);
  });

  test("--term-delay-ms ends no sooner", async () => {
    await using api = await startProcess(["--term-delay-ms", "300"]);
    const start = performance.now();
    expect(await api.end("SIGTERM")).toBe(0);
    expect(performance.now() - start).toBeGreaterThan(290);
  });

  test("--old dies of SIGUSR1, with no PID file and no state", async () => {
    await using api = await startProcess(["--old"]);
    expect(existsSync(api.file("pid"))).toBe(false);
    await api.end("SIGUSR1");
    expect(api.signalCode()).toBe("SIGUSR1");
    expect(existsSync(api.file("state"))).toBe(false);
    expect(readFileSync(api.file("signals"), "utf8")).toMatch(/ SIGUSR1\n$/);
  });
});

async function startProcess(flags: string[] = [], env: Record<string, string> = {}, pidFileContent?: string) {
  const dir = mkdtempSync(join(tmpdir(), "fake-agentapi-"));
  const file = (name: string): string => join(dir, name);
  writeFileSync(file("messages"), JSON.stringify([message]));
  if (pidFileContent !== undefined) writeFileSync(file("pid"), pidFileContent);

  const program = join(import.meta.dir, "fake-agentapi-process.ts");
  const files = ["--messages", file("messages"), "--signals", file("signals")];
  const child = Bun.spawn([process.execPath, program, ...files, ...flags], {
    env: {
      ...process.env,
      AGENTAPI_PID_FILE: file("pid"),
      AGENTAPI_STATE_FILE: file("state"),
      AGENTAPI_SAVE_STATE: "true",
      ...env,
    },
    stderr: Bun.file(file("stderr")),
  });
  const line = (await child.stdout.getReader().read()).value;
  const { port = 0 } = line ? (JSON.parse(Buffer.from(line).toString()) as { port: number }) : {};

  return {
    port,
    pid: child.pid,
    file,
    exited: child.exited,
    stderr: () => readFileSync(file("stderr"), "utf8"),
    signalCode: () => child.signalCode,
    end(signal: NodeJS.Signals): Promise<number> {
      child.kill(signal);
      return child.exited;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(dir, { recursive: true });
    },
  };
}

async function appears(file: string): Promise<void> {
  while (!existsSync(file)) await Bun.sleep(10);
}

async function messagesOf(port: number): Promise<unknown> {
  const response = await fetch(`http://localhost:${port}/messages`);
  return ((await response.json()) as { messages: unknown }).messages;
}
