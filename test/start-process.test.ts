import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { readTools } from "../tools/inventory.ts";
import { isAlive, minimalPath, StartWorkspace } from "./fake-start-workspace.ts";

setDefaultTimeout(60_000);

const LINUX = existsSync("/proc/self/status");
/** Bits of SigIgn in /proc/PID/status. */
const SIGINT = 2n;

const SHELLS = [
  ["sh"],
  ["dash"],
  ["busybox", "sh"],
  ["bash"],
  ["bash", "--posix"],
  ["mksh"],
  ["yash"],
  ["zsh", "--emulate", "sh"],
]
  .filter(([program]) => Bun.which(program!) !== null)
  .map((shell) => ({ name: shell.join(" "), shell }));

function runs(...command: string[]): boolean {
  return spawnSync(command[0]!, command.slice(1)).status === 0;
}

describe("AgentAPI, once started,", () => {
  let ws: StartWorkspace;
  beforeAll(async () => {
    ws = await StartWorkspace.create();
    await ws.start();
    await ws.end();
  });
  afterEach(() => ws.end());
  afterAll(() => ws[Symbol.asyncDispose]());

  const ignoresSigint = (): boolean => (BigInt(`0x${ws.read("signals").split(/\s+/)[1]}`) & SIGINT) !== 0n;
  /** Number of the session that a process belongs to: field 6 of proc_pid_stat(5). */
  const sessionOf = (pid: number): number =>
    Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")[3]);

  test("answers at once when the start is done, and holds no output of the agent open", async () => {
    const { exitCode, stdout, heldPipes } = await ws.startAgain();
    expect((await fetch(`http://localhost:${ws.port}/status`)).status).toBe(200);
    expect(stdout).toContain(`AgentAPI is ready on port ${ws.port}`);
    expect({ exitCode, heldPipes }).toEqual({ exitCode: 0, heldPipes: false });
  });

  test.if(LINUX)("holds nothing else of the agent's open either", async () => {
    const { exitCode } = await ws.startAgain({
      shell: ["/bin/sh", "-c", 'exec 5>"$HOME/log of the agent" && exec /bin/sh "$@"', "sh"],
    });
    expect(exitCode).toBe(0);
    const open = spawnSync("ls", ["-l", `/proc/${ws.started()[0]}/fd`]).stdout.toString();
    expect(open).toContain("agentapi-start.log");
    expect(open).not.toContain("log of the agent");
  });

  test.if(LINUX).each(SHELLS)(
    "has a session of its own and SIGINT at its default with $name",
    async ({ shell }) => {
      const { exitCode, stderr } = await ws.startAgain({ shell });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      expect(ignoresSigint()).toBe(false);
      const [pid] = ws.started();
      expect(sessionOf(pid!)).not.toBe(sessionOf(process.pid));
    },
  );

  test.if(LINUX)("has SIGINT at its default where there is no setsid", async () => {
    const path = ws.bin + delimiter + minimalPath("curl");
    const { exitCode } = await ws.startAgain({ env: { PATH: path } });
    expect(exitCode).toBe(0);
    expect(ignoresSigint()).toBe(false);
  });

  test.if(LINUX && runs("env", "--default-signal=INT", "true"))(
    "has SIGINT at its default even if the agent ignores it",
    async () => {
      await ws.startAgain({ shell: ["/bin/sh", "-c", `trap '' INT; exec /bin/sh "$@"`, "sh"] });
      expect(ignoresSigint()).toBe(false);
    },
  );
});

test("the real AgentAPI and its agent end within 3 s of SIGTERM", async () => {
  await using ws = await StartWorkspace.create({
    version: null,
    env: { PATH: dirname(readTools().agentapi) + delimiter + process.env["PATH"] },
    variables: {
      start_script: `#!/bin/sh
echo $$ >"$HOME/started"
exec agentapi server --type=custom --port "$2" -- bash -c 'echo $$ >"$HOME/agent"; while read -r line; do echo "$line"; done'
`,
    },
  });
  await ws.start();
  const status: unknown = await (await fetch(`http://localhost:${ws.port}/status`)).json();
  expect(status).toMatchObject({ agent_type: "custom" });
  const pids = [ws.started()[0]!, Number(ws.read("agent"))];
  const startMs = performance.now();
  process.kill(pids[0]!, "SIGTERM");
  while (pids.some(isAlive)) await Bun.sleep(10);
  expect(performance.now() - startMs).toBeLessThan(3000);
});
