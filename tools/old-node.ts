// Gets Node.js 18, the oldest that the shutdown script runs in, from the npm package that holds its executable.
import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureArtefact } from "./artefact.ts";
import { cacheDir } from "./inventory.ts";
import { oldNodeVersion } from "./pins.ts";
import { mustRun, say } from "./run.ts";

/** Returns the path of the program. */
export async function ensureOldNode(): Promise<string> {
  const target = join(cacheDir, "bin", "node-18");
  await ensureArtefact({ target, inputs: oldNodeVersion, make });
  return target;
}

function make(path: string): void {
  const name = `node-${process.platform}-${process.arch}`;
  say(`Getting Node.js ${oldNodeVersion} as the npm package ${name}, a few seconds, once …`);
  const options = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dirname(path)];
  mustRun(`npm install ${name}`, ["npm", "install", ...options, `${name}@${oldNodeVersion}`], {
    cwd: dirname(path),
  });
  renameSync(join(dirname(path), "node_modules", name, "bin", "node"), path);
}
