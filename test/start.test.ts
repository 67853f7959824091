import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  FOLDER_NAME,
  isAlive,
  minimalPath,
  modeOf,
  MODULE_DIR_NAME,
  StartWorkspace,
} from "./fake-start-workspace.ts";

setDefaultTimeout(60_000);

/** Whether a test may mount file systems, in a namespace of its own, and what it covers is not the repository. */
const CAN_MOUNT =
  tmpdir() === "/tmp" &&
  !import.meta.dir.startsWith("/tmp/") &&
  spawnSync("unshare", ["-rm", "true"]).status === 0;

/** A script of the author's that runs what a test has written into a file, if it has. */
function runsFile(name: string): string {
  return `[ ! -e "$HOME/${name}" ] || . "$HOME/${name}"\n`;
}

describe("at the start of a workspace", () => {
  let ws: StartWorkspace;
  beforeAll(async () => {
    ws = await StartWorkspace.create({
      variables: {
        pre_install_script: `#!/bin/sh\n${runsFile("pre")}`,
        // No shebang.
        install_script: `[[ $0 == *install.sh ]] && echo "this is bash"\n${runsFile("install")}`,
        post_install_script: `#!/usr/bin/env node\nconsole.log("this is JavaScript");\n`,
      },
    });
    await ws.start();
    await ws.end();
  });
  afterEach(async () => {
    for (const file of ["pre", "install"]) ws.write(file, "");
    await ws.end();
  });
  afterAll(() => ws[Symbol.asyncDispose]());

  test("the author's scripts run in order, each by its shebang or by bash, with the output also in logs", async () => {
    ws.write("pre", "echo one; echo two >&2");
    const { stdout, exitCode } = await ws.startAgain();
    expect(exitCode).toBe(0);
    const steps = [
      ["Running pre_install.sh", "one", "two"],
      ["Running install.sh", "this is bash"],
      ["Running post_install.sh", "this is JavaScript"],
    ];
    expect(stdout).toStartWith(`${steps.flat().join("\n")}\n`);
    expect(ws.read(MODULE_DIR_NAME, "pre_install.log")).toBe("one\ntwo");
    expect(ws.read(MODULE_DIR_NAME, "install.log")).toBe("this is bash");
    expect(ws.read(MODULE_DIR_NAME, "post_install.log")).toBe("this is JavaScript");
  });

  test("the output of a script shows while it still runs", async () => {
    ws.write("install", 'echo "waiting for the test"; while [ ! -e "$HOME/seen" ]; do sleep 0.05; done');
    const child = Bun.spawn(["/bin/sh", "-c", ws.script("agentapi")], { env: ws.env, stdout: "pipe" });
    let stdout = "";
    for await (const chunk of child.stdout) {
      stdout += new TextDecoder().decode(chunk);
      if (stdout.includes("waiting for the test")) ws.write("seen", "");
    }
    expect(await child.exited).toBe(0);
  });

  test("a script that fails is named with its status and its log, and the start goes on", async () => {
    ws.write("install", "echo some output; exit 7");
    const { stdout, stderr, exitCode } = await ws.startAgain();
    expect(exitCode).toBe(0);
    expect(stdout).toContain("some output");
    expect(stderr).toContain(
      `install.sh failed with exit status 7. Its output is in ${ws.modulePath("install.log")}`,
    );
    expect(stdout.indexOf("post_install.sh")).toBeGreaterThan(stdout.indexOf("some output"));
    expect(ws.started()).toHaveLength(1);
  });

  test("a server that a script leaves running does not hold the start up", async () => {
    ws.write("pre", 'sleep 300 & echo $! >"$HOME/server"');
    const { exitCode, heldPipes } = await ws.startAgain();
    const server = Number(ws.read("server"));
    expect(isAlive(server)).toBe(true);
    process.kill(server);
    expect({ exitCode, heldPipes }).toEqual({ exitCode: 0, heldPipes: false });
  });

  test("the folder is created, and the start script runs in it with the arguments true and the port", async () => {
    expect((await ws.startAgain()).exitCode).toBe(0);
    expect(ws.read("cwd")).toBe(join(ws.bin, FOLDER_NAME));
    expect(ws.read("arguments")).toBe(`true\n${ws.port}`);
  });

  test("scripts and logs are the owner's only, those that an earlier version left readable too", async () => {
    const files = ["pre_install.sh", "install.sh", "scripts/agentapi-start.sh"];
    const logs = ["pre_install.log", "install.log", "agentapi-start.log"];
    for (const file of [...files, ...logs]) chmodSync(ws.modulePath(file), 0o555);
    expect((await ws.startAgain()).exitCode).toBe(0);
    expect(files.map((file) => modeOf(ws.modulePath(file)))).toEqual(["700", "700", "700"]);
    expect(logs.map((file) => modeOf(ws.modulePath(file)))).toEqual(["600", "600", "600"]);
    expect(modeOf(ws.modulePath("agentapi-start.log.1"))).toBe("600");
  });

  test("AgentAPI's files keep the user's own file mode mask", async () => {
    ws.write("install", 'umask >"$HOME/mask"; rm "$HOME/env"');
    await ws.startAgain({ shell: ["/bin/sh", "-c", 'umask 027; exec /bin/sh "$@"', "sh"] });
    expect(ws.read("mask")).toBe("0027");
    expect(modeOf(ws.path("env"))).toBe("640");
  });

  test("a link in the place of a script is replaced and its target left alone", async () => {
    ws.write("precious", "precious");
    for (const file of ["install.sh", "install.log", "agentapi-start.log"]) {
      await Bun.file(ws.modulePath(file)).delete();
      symlinkSync(ws.path("precious"), ws.modulePath(file));
    }
    expect((await ws.startAgain()).exitCode).toBe(0);
    expect(ws.read("precious")).toBe("precious");
    expect(ws.read(MODULE_DIR_NAME, "install.log")).toBe("this is bash");
  });

  test("AgentAPI must be there when it is not to be installed", async () => {
    const { exitCode, stderr } = await ws.startAgain({
      env: { PATH: minimalPath("curl", "bash", "node") },
    });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      "AgentAPI is not installed. Set install_agentapi to true, or put agentapi on PATH.",
    );
  });

  test("spaces and quotes in $HOME do no harm", async () => {
    const home = join(ws.dir, `it's a "home" $dir`);
    mkdirSync(home);
    const { exitCode } = await ws.startAgain({ env: { HOME: home } });
    const pidFile = join(home, MODULE_DIR_NAME, "agentapi.pid");
    expect(exitCode).toBe(0);
    expect(readFileSync(pidFile, "utf8")).toBe(`${ws.started(home)[0]}\n`);
    await ws.end(home);
  });

  test("a temporary folder that cannot be written is replaced by one of the module's", async () => {
    const { exitCode } = await ws.startAgain({ env: { TMPDIR: "/proc/self" } });
    expect(exitCode).toBe(0);
    expect(ws.agentApiEnv("TMPDIR")).toEqual({ TMPDIR: ws.modulePath("tmp") });
    await ws.end();
    await ws.startAgain();
    expect(ws.agentApiEnv("TMPDIR")).toEqual({});
  });

  test.if(CAN_MOUNT).each([
    { state: "read-only and noexec", seal: "mount -o remount,ro,noexec,nosuid,nodev tmpfs /tmp" },
    { state: "full", seal: "head -c 1000000 /dev/zero >/tmp/fill || :" },
  ])("a /tmp that is $state does no harm", async ({ seal }) => {
    // In a mount namespace of its own, with the workspace's folders in their places on another /tmp.
    const mount = `set -e
mount --rbind / /mnt
mount -t tmpfs -o size=64k tmpfs /tmp
for folder in '${ws.dir}' '${ws.bin}'; do
  mkdir "$folder"
  mount --bind "/mnt$folder" "$folder"
done
(${seal}) 2>/dev/null
exec /bin/sh "$@"`;
    const { exitCode, stderr } = await ws.startAgain({ shell: ["unshare", "-rm", "sh", "-c", mount, "sh"] });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(ws.agentApiEnv("TMPDIR")).toEqual({ TMPDIR: ws.modulePath("tmp") });
  });
});

test("what an earlier version left in the home folder is no hindrance", async () => {
  await using ws = await StartWorkspace.create({ variables: { install_script: "echo installed" } });
  mkdirSync(ws.modulePath("scripts"), { recursive: true });
  const leftovers = ["install.sh", "scripts/agentapi-start.sh", "scripts/agentapi-wait-for-start.sh"];
  for (const file of leftovers) writeFileSync(ws.modulePath(file), "#!/bin/bash\nexit 1\n", { mode: 0o555 });
  writeFileSync(ws.modulePath("agentapi-start.log"), "old log\n", { mode: 0o644 });
  writeFileSync(ws.modulePath("install.log.new"), "half written\n", { mode: 0o444 });
  expect((await ws.start()).exitCode).toBe(0);
  expect(ws.read(MODULE_DIR_NAME, "install.log")).toBe("installed");
  expect(ws.read(MODULE_DIR_NAME, "agentapi-start.log.1")).toBe("old log");
  expect(existsSync(ws.modulePath("install.log.new"))).toBe(false);
});
