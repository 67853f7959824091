import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Answer } from "./fake-exchange.ts";
import { FakeServer } from "./fake-http.ts";
import { minimalPath, modeOf, StartWorkspace } from "./fake-start-workspace.ts";

setDefaultTimeout(60_000);

/** Shows its name and arguments, each in brackets. */
function echoProgram(name: string): string {
  return `#!/bin/sh\nprintf '[%s]' ${name} "$@"\n`;
}

function runWrapper(ws: StartWorkspace, ...command: string[]): string {
  const prefix = ws.agentApiEnv("AGENTAPI_BOUNDARY_PREFIX")["AGENTAPI_BOUNDARY_PREFIX"]!;
  expect(prefix).toBe(ws.modulePath("boundary-wrapper.sh"));
  expect(modeOf(prefix)).toBe("700");
  return spawnSync(prefix, command, { env: { PATH: "/usr/bin:/bin" } }).stdout.toString();
}

describe("boundary as a part of coder", () => {
  let ws: StartWorkspace;
  beforeAll(async () => {
    ws = await StartWorkspace.create({
      variables: { enable_boundary: true, boundary_config_path: "/etc/boundary.yaml" },
    });
    ws.addProgram("coder", echoProgram("coder"));
    await ws.start();
  });
  afterEach(() => ws.end());
  afterAll(() => ws[Symbol.asyncDispose]());

  test("runs the agent through a copy of coder, whatever the words of its command", () => {
    expect(runWrapper(ws, "claude", "--model", "a b", "")).toBe(
      "[coder][boundary][--][claude][--model][a b][]",
    );
    expect(existsSync(ws.modulePath("coder-no-caps"))).toBe(true);
  });

  test("copies coder anew at each start, also while the old copy runs", async () => {
    // A compiled program: one that runs cannot be written to.
    const copy = ws.modulePath("coder-no-caps");
    writeFileSync(copy, readFileSync("/bin/sleep"), { mode: 0o755 });
    const old = Bun.spawn([copy, "60"]);
    ws.addProgram("coder", echoProgram("new-coder"));
    const { exitCode } = await ws.startAgain();
    const runs = old.exitCode === null;
    old.kill();
    expect({ exitCode, runs }).toEqual({ exitCode: 0, runs: true });
    expect(runWrapper(ws, "claude")).toBe("[new-coder][boundary][--][claude]");
  });

  test("fails the start when there is no coder", async () => {
    rmSync(join(ws.bin, "coder"));
    const { exitCode, stderr } = await ws.startAgain({
      env: { PATH: ws.bin + delimiter + minimalPath("curl") },
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("Boundary cannot be enabled: there is no coder on PATH");
    expect(ws.started()).toEqual([]);
  });
});

test("a released boundary is installed by its own script, with the version asked for, and used", async () => {
  let body = `#!/bin/bash
[[ $1 == --version ]] || exit 1
mkdir -p "$INSTALL_DIR"
printf '#!/bin/sh\\nprintf "[%%s]" boundary %s "$@"\\n' "$2" >"$INSTALL_DIR/boundary"
chmod 755 "$INSTALL_DIR/boundary"
`;
  const answer = (): Answer => ({ status: 200, body });
  await using server = await FakeServer.start({ faults: [{ kind: "die-mid-answer" }] }, answer);
  await using ws = await StartWorkspace.create({
    variables: { enable_boundary: true, use_boundary_directly: true, boundary_version: "v0.2.0" },
    env: {
      BOUNDARY_INSTALL_URL: `http://127.0.0.1:${server.port}/install.sh`,
      AGENTAPI_DOWNLOAD_WAITS: "0",
    },
  });
  await ws.start();
  expect(server.requests).toHaveLength(2);
  expect(runWrapper(ws, "claude", "-p")).toBe("[boundary][v0.2.0][--][claude][-p]");

  await ws.end();
  body = "<html>Please log in</html>";
  const { exitCode, stderr } = await ws.startAgain();
  expect(exitCode).toBe(1);
  expect(stderr).toContain("Boundary cannot be enabled: its install script could not be downloaded");
});

test.each([
  { version: "v0.1.0", says: "[v0.1.0][--][claude]" },
  { version: "latest", says: "[newer][--][claude]" },
])("a boundary compiled from its sources at $version is used", async ({ version, says }) => {
  const repository = mkdtempSync(join(tmpdir(), "boundary-"));
  const git = (...args: string[]): void => {
    const identity = [
      "-c",
      "user.name=test",
      "-c",
      "user.email=test@example.com",
      "-c",
      "commit.gpgsign=false",
    ];
    const { status, stderr } = spawnSync("git", ["-C", repository, ...identity, ...args]);
    if (status !== 0) throw new Error(String(stderr));
  };
  const commit = (name: string): void => {
    writeFileSync(join(repository, "Makefile"), `build:\n\tsed s/NAME/${name}/ program >boundary\n`);
    writeFileSync(join(repository, "program"), echoProgram("NAME"));
    git("add", ".");
    git("commit", "-m", name);
  };
  git("init", "-q");
  commit("v0.1.0");
  git("tag", "v0.1.0");
  commit("newer");

  await using ws = await StartWorkspace.create({
    variables: { enable_boundary: true, compile_boundary_from_source: true, boundary_version: version },
    env: { BOUNDARY_REPOSITORY_URL: repository },
  });
  await ws.start();
  rmSync(repository, { recursive: true });
  expect(runWrapper(ws, "claude")).toBe(says);
});
