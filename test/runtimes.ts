// The ways in which the shutdown script can execute: each is a PATH that holds one runtime and what any image has.
import {
  accessSync,
  constants,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { readTools } from "../tools/inventory.ts";

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

/** One folder for all of a test run, which goes with it. */
function pathsDir(): string {
  if (created === undefined) {
    const dir = mkdtempSync(join(tmpdir(), "paths-"));
    process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
    created = dir;
  }
  return created;
}

/** A Bun-compiled executable, as agents are: started as what it is, it leaves the file agent-started in $HOME. */
export function compileAgent(): string {
  const dir = mkdtempSync(join(pathsDir(), "agent-"));
  const source = `require("node:fs").writeFileSync(process.env.HOME + "/agent-started", "");`;
  writeFileSync(join(dir, "agent.ts"), source);
  const command = [process.execPath, "build", "--compile", "agent.ts", "--outfile", "agent"];
  const build = Bun.spawnSync(command, { cwd: dir });
  if (!build.success) throw new Error(`no agent could be compiled: ${build.stderr}`);
  return join(dir, "agent");
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

/** Every way there is: also the oldest Node.js, where set-up has it, and the Bun inside an agent. */
export function allRuntimes(): readonly Runtime[] {
  const agent = { name: "an agent's Bun", path: closedPath("grep") };
  symlinkSync(compileAgent(), join(agent.path, "claude"));
  const { oldNode } = readTools();
  if (oldNode === null) return [...RUNTIMES, agent, CURL_JQ];
  const node18 = { name: "node 18", path: closedPath() };
  symlinkSync(oldNode, join(node18.path, "node"));
  return [...RUNTIMES, node18, agent, CURL_JQ];
}
