import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { readTools } from "../tools/inventory.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { closedPath, compileAgent, findProgram, RUNTIMES, type Runtime } from "./runtimes.ts";
import { Home } from "./shutdown.ts";

setDefaultTimeout(60_000);

const MESSAGES = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];
/** A PATH without any runtime; the home of the workspace may hold one. */
const NONE: Runtime = { name: "none", path: closedPath("grep") };

let compiled: string;

beforeAll(() => {
  compiled = compileAgent();
});

function put(home: Home, place: string, program: string): void {
  mkdirSync(dirname(home.path(place)), { recursive: true });
  symlinkSync(program, home.path(place));
}

function putScript(folder: string, name: string, body: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

/** Stops a workspace and returns how often Coder got the snapshot, beside how the script ran. */
async function stopAndCount(
  home: Home,
  runtime: Runtime,
  env: Record<string, string> = {},
  shell?: string[],
) {
  await using coder = await startFakeCoder();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const run = await home.stop({ coder, agentApiPort: agentApi.port, runtime, env, ...(shell && { shell }) });
  return { ...run, delivered: coder.readSnapshot().length, requests: coder.requests.length };
}

describe("finds a runtime that is not on PATH, in the place of", () => {
  const node = findProgram("node");
  const bun = findProgram("bun");
  const deno = findProgram("deno");
  test.each([
    ["nvm", ".nvm/versions/node/v20.1.0/bin/node", node],
    ["Volta", ".volta/tools/image/node/20.1.0/bin/node", node],
    ["fnm", ".local/share/fnm/node-versions/v20.1.0/installation/bin/node", node],
    ["fnm, its older place", ".fnm/node-versions/v20.1.0/installation/bin/node", node],
    ["asdf", ".asdf/installs/nodejs/20.1.0/bin/node", node],
    ["asdf's Bun", ".asdf/installs/bun/1.2.0/bin/bun", bun],
    ["mise", ".local/share/mise/installs/node/20.1.0/bin/node", node],
    ["mise's Deno", ".local/share/mise/installs/deno/2.0.0/bin/deno", deno],
    ["n", "n/bin/node", node],
    ["Bun's installer", ".bun/bin/bun", bun],
    ["Deno's installer", ".deno/bin/deno", deno],
    ["code-server", ".local/lib/code-server-4.90.0/lib/node", node],
    ["VS Code's server", ".vscode-server/bin/0123abcd/node", node],
    ["VS Code's server, by its CLI", ".vscode-server/cli/servers/Stable-0123/server/node", node],
    ["Cursor's server", ".cursor-server/bin/linux-x64/0123abcd/node", node],
    ["cursor-agent", ".local/share/cursor-agent/versions/2026.01/node", node],
    ["an agent's Bun: opencode", ".opencode/bin/opencode", "compiled"],
    ["an agent's Bun: Claude Code", ".local/bin/claude", "compiled"],
  ])("%s", async (_, place, program) => {
    using home = new Home();
    put(home, place, program === "compiled" ? compiled : program);
    const { delivered, requests, exitCode, stderr } = await stopAndCount(home, NONE);
    expect({ delivered, requests, exitCode, stderr }).toEqual({
      delivered: 1,
      requests: 1,
      exitCode: 0,
      stderr: "",
    });
    expect(existsSync(home.path("agent-started"))).toBe(false);
  });

  test("an agent's Bun on PATH", async () => {
    using home = new Home();
    const path = closedPath("grep");
    symlinkSync(compiled, join(path, "claude"));
    const { delivered } = await stopAndCount(home, { name: "claude", path });
    expect(delivered).toBe(1);
    expect(existsSync(home.path("agent-started"))).toBe(false);
  });
});

describe("never starts an agent", () => {
  test.each([
    [
      "that is a script",
      (file: string) => putScript(dirname(file), basename(file), `touch "$HOME/agent-started" # BUN_BE_BUN`),
    ],
    [
      "whose Bun does not know how to be Bun",
      (file: string) => {
        // Same length, so that the executable stays whole.
        copyFileSync(compiled, file);
        const bytes = readFileSync(file);
        for (let at = bytes.indexOf("BUN_BE_BUN"); at >= 0; at = bytes.indexOf("BUN_BE_BUN"))
          bytes.write("NOT_BE_BUN", at);
        writeFileSync(file, bytes);
        chmodSync(file, 0o755);
      },
    ],
  ])("%s", async (_, make) => {
    using home = new Home();
    mkdirSync(home.path(".opencode/bin"), { recursive: true });
    make(home.path(".opencode/bin/opencode"));
    const { exitCode } = await stopAndCount(home, NONE);
    expect(existsSync(home.path("agent-started"))).toBe(false);
    expect(exitCode).toBe(0);
  });
});

describe("goes on to the next runtime when one", () => {
  test.each([
    ["is too old", 'echo "process.exit(64)" >/dev/null; cat >/dev/null; exit 64'],
    ["crashes", "kill -SEGV $$"],
    ["does not understand the program", 'echo "SyntaxError: Unexpected token" >&2; exit 1'],
    ["is a version manager's empty stand-in", "echo 'no version is set' >&2; exit 126"],
  ])("%s", async (_, body) => {
    using home = new Home();
    const path = closedPath("bun");
    putScript(path, "node", body);
    const { delivered, requests, exitCode } = await stopAndCount(home, { name: "second", path });
    expect({ delivered, requests, exitCode }).toEqual({ delivered: 1, requests: 1, exitCode: 0 });
  });

  test("has the wrong format", async () => {
    using home = new Home();
    const path = closedPath("bun");
    writeFileSync(join(path, "node"), Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0, 0]), { mode: 0o755 });
    expect((await stopAndCount(home, { name: "second", path })).delivered).toBe(1);
  });

  test("is a folder, or not executable", async () => {
    using home = new Home();
    const path = closedPath("bun");
    mkdirSync(join(path, "node"));
    mkdirSync(home.path(".nvm/versions/node/v20/bin/node"), { recursive: true });
    expect((await stopAndCount(home, { name: "second", path })).delivered).toBe(1);
  });
});

test("prefers the newest of several versions", async () => {
  using home = new Home();
  for (const version of ["v18.0.0", "v20.0.0"]) {
    mkdirSync(home.path(`.nvm/versions/node/${version}/bin`), { recursive: true });
    putScript(
      home.path(`.nvm/versions/node/${version}/bin`),
      "node",
      `echo ${version} >>"$HOME/tried"; exec ${findProgram("node")} "$@"`,
    );
  }
  expect((await stopAndCount(home, NONE)).delivered).toBe(1);
  expect(await Bun.file(home.path("tried")).text()).toBe("v20.0.0\n");
});

test("a runtime that hangs is ended in time, and the stop with it", async () => {
  using home = new Home();
  const path = closedPath();
  putScript(path, "node", "exec sleep 600");
  const { ms, exitCode, stdout, heldPipes } = await home.stop({
    runtime: { name: "hung", path },
    args: { ARG_SHUTDOWN_TIMEOUT: "3" },
  });
  expect(ms).toBeLessThan(4500);
  expect(stdout).toContain("Shutdown complete");
  expect({ exitCode, heldPipes }).toEqual({ exitCode: 0, heldPipes: false });
});

test("settings of the workspace's own programs do not reach the shutdown's runtime", async () => {
  for (const runtime of RUNTIMES) {
    using home = new Home();
    writeFileSync(home.path("bunfig.toml"), 'preload = ["./missing.ts"]\n');
    writeFileSync(home.path("deno.json"), "{ broken");
    writeFileSync(home.path("package.json"), '{ "type": "module" }');
    const env = { NODE_OPTIONS: "--require ./missing.js", BUN_OPTIONS: "--preload ./missing.ts" };
    expect((await stopAndCount(home, runtime, env)).delivered, runtime.name).toBe(1);
  }
});

const oldNode = readTools().oldNode;
test.skipIf(oldNode === null)(
  `runs in Node.js 18${oldNode === null ? " (needs npm run setup -- --all)" : ""}`,
  async () => {
    using home = new Home();
    put(home, ".nvm/versions/node/v18.20.8/bin/node", oldNode!);
    expect((await stopAndCount(home, NONE)).delivered).toBe(1);
  },
);

describe("runs in", () => {
  const shells = [
    ["sh"],
    ["dash"],
    ["bash"],
    ["bash", "--posix"],
    ["busybox", "sh"],
    ["zsh", "--emulate", "sh"],
    ["yash"],
  ];
  for (const shell of shells) {
    const installed = Bun.which(shell[0]!) !== null;
    test.skipIf(!installed)(`${shell.join(" ")}${installed ? "" : " (not installed)"}`, async () => {
      using home = new Home();
      const command = [findProgram(shell[0]!), ...shell.slice(1)];
      const { delivered, exitCode, stderr, heldPipes } = await stopAndCount(home, RUNTIMES[0]!, {}, command);
      expect({ delivered, exitCode, stderr, heldPipes }).toEqual({
        delivered: 1,
        exitCode: 0,
        stderr: "",
        heldPipes: false,
      });
    });
  }
});
