import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILD_COMMAND, buildScript, SCRIPT_PATH } from "./build.ts";

const root = join(import.meta.dir, "..");

test(`the committed shutdown script is what src/ builds; if not: ${BUILD_COMMAND}`, async () => {
  expect((await Bun.file(SCRIPT_PATH).text()) === (await buildScript())).toBe(true);
});

test("the check refuses a script edited by hand, and prints the command that mends it", async () => {
  const copy = mkdtempSync(join(tmpdir(), "build-"));
  try {
    cpSync(join(root, "src"), join(copy, "src"), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    const run = (...args: string[]) =>
      Bun.spawnSync([process.execPath, "src/build.ts", ...args], { cwd: copy });
    run();
    expect(run("--check").exitCode).toBe(0);
    const script = join(copy, "scripts/agentapi-shutdown.sh");
    writeFileSync(script, (await Bun.file(script).text()).replace("65536", "65537"));
    const { exitCode, stderr } = run("--check");
    expect(exitCode).toBe(1);
    expect(String(stderr)).toContain(`To mend it: ${BUILD_COMMAND}`);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});
