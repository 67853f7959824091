import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { AgentApiProcess } from "./agentapi-process.ts";
import {
  NO_MOUNTS,
  NO_OTHER_USER,
  OTHER_UID,
  shellOfOtherUser,
  shellWithMounts,
  shellWithoutTmp,
} from "./confined-shell.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { type FakeCoder, startFakeCoder } from "./fake-coder.ts";
import type { ScriptRun } from "./run-script.ts";
import { CURL_JQ, findProgram, RUNTIMES, type Runtime } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME } from "./shutdown.ts";

setDefaultTimeout(60_000);

const MESSAGES = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];

const withMounts = NO_MOUNTS === "" ? test : test.skip;
const withOtherUser = NO_OTHER_USER === "" ? test : test.skip;
const because = (reason: string) => reason && ` (skipped: ${reason})`;

/** Where the home folder is covered or moved, /mnt has it still. */
const BACK_IN_PLACE = [
  'mkdir -p "$HOME" "$bin"',
  'mount --bind /mnt/home "$HOME"',
  'mount --bind /mnt/bin "$bin"',
];
const fill = (dir: string) => [
  `dd if=/dev/zero of=${dir}/filler bs=1k 2>/dev/null || [ -s ${dir}/filler ]`,
  `if echo more 2>/dev/null >${dir}/more; then false; fi`,
];

describe.each([...RUNTIMES, CURL_JQ])("a stop with $name", (runtime) => {
  describe("delivers the snapshot and ends AgentAPI although", () => {
    withMounts.each<[string, () => string[]]>([
      ["/tmp is missing", shellWithoutTmp],
      [
        "/tmp is read-only",
        () =>
          shellWithMounts([
            "mount --bind /tmp /tmp",
            "mount -o remount,ro,bind /tmp",
            "if touch /tmp/file 2>/dev/null; then false; fi",
            'mount --bind /mnt/home "$HOME"',
          ]),
      ],
      [
        "/tmp is noexec",
        () =>
          shellWithMounts([
            "mount -t tmpfs -o noexec tmpfs /tmp",
            "cp /bin/true /tmp/program",
            "if /tmp/program 2>/dev/null; then false; fi",
            ...BACK_IN_PLACE,
          ]),
      ],
      [
        "/tmp is full",
        () => shellWithMounts(["mount -t tmpfs -o size=4k tmpfs /tmp", ...BACK_IN_PLACE, ...fill("/tmp")]),
      ],
      [
        "the home folder is read-only",
        () =>
          shellWithMounts([
            'mount --bind "$HOME" "$HOME"',
            'mount -o remount,ro,bind "$HOME"',
            'if touch "$HOME/file" 2>/dev/null; then false; fi',
          ]),
      ],
      [
        "the home folder is full",
        () =>
          shellWithMounts([
            'mount -t tmpfs -o size=8k tmpfs "$HOME"',
            'cp -rp /mnt/home/. "$HOME"',
            ...fill('"$HOME"'),
          ]),
      ],
    ])(`%s${because(NO_MOUNTS)}`, async (_, shell) => {
      using home = new Home();
      await using coder = await startFakeCoder();
      await using agentApi = await startAgentApi(home);
      const { stdout, exitCode, ms } = await home.stop({
        coder,
        agentApiPort: agentApi.port,
        runtime,
        shell: shell(),
      });
      expect(coder.readSnapshot()).toHaveLength(1);
      expect(agentApi.signals()).toEqual(["SIGTERM"]);
      expect(exitCode).toBe(0);
      expect(ms).toBeLessThan(8000);
      expect(stdout).toContain("Log snapshot posted successfully\n");
      expect(stdout).toContain("Shutdown complete");
    });

    test("the module's folder is missing", async () => {
      using home = new Home();
      await using coder = await startFakeCoder();
      await using agentApi = await AgentApiProcess.start({
        messages: MESSAGES,
        pidFile: home.path("agentapi.pid"),
      });
      const args = { ARG_PID_FILE_PATH: home.path("agentapi.pid") };
      await home.stop({ coder, agentApiPort: agentApi.port, runtime, args });
      expect(coder.readSnapshot()).toHaveLength(1);
      expect(agentApi.signals()).toEqual(["SIGTERM"]);
      expect(home.log()).toContain("Shutdown complete");
    });
  });

  const fewerWords = runtime === CURL_JQ;
  describe.skipIf(fewerWords)(
    `as another user${because(fewerWords ? "sh tells it in fewer words" : "")}`,
    () => {
      withOtherUser(
        `delivers the snapshot, and the log is for that user alone${because(NO_OTHER_USER)}`,
        async () => {
          using home = new Home();
          mkdirSync(home.path(MODULE_DIR_NAME));
          await using coder = await startFakeCoder();
          const { exitCode } = await stopAsOther(home, coder, runtime);
          expect(coder.readSnapshot()).toHaveLength(1);
          const { uid, mode } = statSync(home.path(MODULE_DIR_NAME, "agentapi-shutdown.log"));
          expect([uid, mode & 0o777]).toEqual([OTHER_UID, 0o600]);
          expect(exitCode).toBe(0);
        },
      );

      withOtherUser.each<[string, (moduleDir: string) => void, string, string]>([
        ["the module's folder is somebody else's", (dir) => chownSync(dir, 0, 0), "", "permission denied"],
        [
          "the log is somebody else's",
          (dir) => {
            writeFileSync(`${dir}/agentapi-shutdown.log`, "precious\n", { mode: 0o666 });
            chmodSync(`${dir}/agentapi-shutdown.log`, 0o666);
          },
          "precious\n",
          "it is not a regular file of this user",
        ],
      ])(`delivers the snapshot although %s${because(NO_OTHER_USER)}`, async (_, prepare, log, why) => {
        using home = new Home();
        mkdirSync(home.path(MODULE_DIR_NAME));
        await using coder = await startFakeCoder();
        const { stdout, stderr, exitCode } = await stopAsOther(home, coder, runtime, prepare);
        expect(coder.readSnapshot()).toHaveLength(1);
        expect(home.log()).toBe(log);
        expect(exitCode).toBe(0);
        expect(stdout.toLowerCase()).toMatch(
          new RegExp(`^.*warning: no log file at \\S+/agentapi-shutdown.log: .*${why}`),
        );
        expect(stderr).toBe("");
      });

      withOtherUser(
        `says that it may not end somebody else's AgentAPI${because(NO_OTHER_USER)}`,
        async () => {
          using home = new Home();
          mkdirSync(home.path(MODULE_DIR_NAME));
          await using coder = await startFakeCoder();
          const agentApi = startNamedAgentApi(home);
          try {
            const { stdout, stderr, exitCode, ms } = await stopAsOther(home, coder, runtime);
            expect(coder.readSnapshot()).toHaveLength(1);
            expect(agentApi.exitCode ?? agentApi.signalCode).toBeNull();
            expect(exitCode).toBe(0);
            expect(ms).toBeLessThan(5000);
            expect(stdout).toContain(`Sending SIGTERM to AgentAPI (pid ${agentApi.pid})\n`);
            expect(stdout).toContain("SIGTERM did not reach AgentAPI: it belongs to another user\n");
            expect(stdout).toContain("Shutdown complete");
            expect(stderr).toBe("");
          } finally {
            agentApi.kill("SIGKILL");
          }
        },
      );

      withOtherUser(`leaves a stranger of somebody else alone${because(NO_OTHER_USER)}`, async () => {
        using home = new Home();
        mkdirSync(home.path(MODULE_DIR_NAME));
        await using coder = await startFakeCoder();
        const stranger = spawn("sleep", ["60"], { stdio: "ignore" });
        writeFileSync(home.path(MODULE_DIR_NAME, "agentapi.pid"), `${stranger.pid}\n`);
        try {
          const { stdout, exitCode } = await stopAsOther(home, coder, runtime);
          expect(coder.readSnapshot()).toHaveLength(1);
          expect(stdout).toContain(`process ${stranger.pid} (sleep) is not AgentAPI on port`);
          expect(stdout).not.toContain("SIGTERM");
          expect(exitCode).toBe(0);
        } finally {
          stranger.kill("SIGKILL");
        }
      });
    },
  );
});

function startAgentApi(home: Home): Promise<AgentApiProcess> {
  mkdirSync(home.path(MODULE_DIR_NAME));
  return AgentApiProcess.start({ messages: MESSAGES, pidFile: home.path(MODULE_DIR_NAME, "agentapi.pid") });
}

/** A process of this user that others know by its name alone: they may not look at its executable and its sockets. */
function startNamedAgentApi(home: Home): ChildProcess {
  symlinkSync(findProgram("sleep"), home.path("agentapi"));
  const child = spawn(home.path("agentapi"), ["60"], { stdio: "ignore" });
  writeFileSync(home.path(MODULE_DIR_NAME, "agentapi.pid"), `${child.pid}\n`);
  return child;
}

async function stopAsOther(
  home: Home,
  coder: FakeCoder,
  runtime: Runtime,
  prepare: (moduleDir: string) => void = () => {},
): Promise<ScriptRun> {
  chownSync(home.dir, OTHER_UID, OTHER_UID);
  chownSync(home.path(MODULE_DIR_NAME), OTHER_UID, OTHER_UID);
  prepare(home.path(MODULE_DIR_NAME));
  // Folders that the tests made for themselves.
  for (const dir of [runtime.path, dirname(runtime.path)]) chmodSync(dir, 0o755);
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  return await home.stop({ coder, agentApiPort: agentApi.port, runtime, shell: shellOfOtherUser() });
}
