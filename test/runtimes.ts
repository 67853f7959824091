// The ways in which the shutdown script can execute: each is a PATH that holds one runtime and what any image has.
import { accessSync, constants, mkdirSync, mkdtempSync, realpathSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface Runtime {
  readonly name: string;
  readonly path: string;
}

/** Programs of a minimal image that the scripts may call; none of them can run the shutdown program. */
const BASE_PROGRAMS = [
  "cat",
  "date",
  "env",
  "head",
  "kill",
  "mkdir",
  "ps",
  "rm",
  "sh",
  "sleep",
  "tail",
  "tr",
  "uname",
];

const binDir = join(import.meta.dir, "../node_modules/.bin");
const folders = [...(process.env["PATH"] ?? "").split(delimiter), binDir].filter((dir) => dir !== "");

/** Absolute path of a program on PATH or among the npm packages. Throws when it is missing. */
export function findProgram(name: string): string {
  for (const folder of folders) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return realpathSync(join(folder, name));
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${name} is not on PATH`);
}

/** A PATH of one new folder, which holds the base programs and those named. */
export function closedPath(...programs: string[]): string {
  const folder = mkdtempSync(join(pathsDir(), "bin-"));
  for (const name of BASE_PROGRAMS) symlinkSync(findProgram(name), join(folder, name));
  for (const name of programs) symlinkSync(findProgram(name), join(folder, name));
  return folder;
}

let created: string | undefined;
function pathsDir(): string {
  created ??= mkdtempSync(join(tmpdir(), "paths-"));
  mkdirSync(created, { recursive: true });
  return created;
}

export const RUNTIMES: readonly Runtime[] = ["node", "bun", "deno"].map((name) => ({
  name,
  path: closedPath(name),
}));

/** No runtime at all, but what the script's fallback needs. */
export const CURL_JQ: Runtime = {
  name: "curl and jq",
  path: closedPath("chmod", "curl", "id", "jq", "ls", "readlink", "sed"),
};
