// Bundles src/main.ts and wraps it into scripts/agentapi-shutdown.sh. With --check, only compares.
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dir, "..");
export const SCRIPT_PATH = join(ROOT, "scripts/agentapi-shutdown.sh");
export const BUILD_COMMAND = "npm run build";
/** What a person can still audit, bytes; main.tf leaves indentation and comments out of what it renders. */
const SCRIPT_MAX_BYTES = 56 * 1024;

/** Returns the text of the shutdown script. Throws when it is too large or not plain ASCII. */
export async function buildScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "src/main.ts")],
    bundle: true,
    write: false,
    charset: "ascii",
    format: "cjs",
    platform: "node",
    target: "node18",
    logLevel: "warning",
  });
  const program = readable(outputFiles[0]!.text.trimEnd()).replaceAll("'", "'\\''");
  const [launcher, fallback] = await Promise.all(
    ["launcher.sh", "fallback.sh"].map((name) => Bun.file(join(ROOT, "src", name)).text()),
  );
  const script = `#!/bin/sh\n${launcher}\n${fallback}\n# shellcheck disable=SC2016 # a program, not a shell's\nPROGRAM='${program}'\n\nmain\n`;

  if (/[^\t\n\x20-\x7e]/.test(script)) throw new Error("the shutdown script must be plain ASCII");
  if (script.length > SCRIPT_MAX_BYTES) {
    throw new Error(`the shutdown script has ${script.length} bytes, allowed are ${SCRIPT_MAX_BYTES}`);
  }
  return script;
}

/** esbuild's output with its artefacts undone, which also leaves more room below the limit. */
function readable(program: string): string {
  return (
    program
      // `path` is left to the parameters of that name.
      .replace(/\bimport_node_(?=path)/g, "node_")
      .replace(/\bimport_node_(?=\w)/g, "")
      .replace(/\(0, (\w+\.\w+)\)/g, "$1")
      .replace(/^\s*\/\*\*.*\*\/\n/gm, "") // the comments of class members, the only ones that it keeps
      .replaceAll("/* @__PURE__ */ ", "")
      .replace(/^(?: {2})+/gm, (indent) => "\t".repeat(indent.length / 2))
  );
}

if (import.meta.main) {
  const script = await buildScript();
  const committed = await Bun.file(SCRIPT_PATH)
    .text()
    .catch(() => "");
  if (process.argv.includes("--check")) {
    if (script !== committed) {
      console.error(`scripts/agentapi-shutdown.sh does not match src/. To mend it: ${BUILD_COMMAND}`);
      process.exit(1);
    }
  } else if (script !== committed) {
    await Bun.write(SCRIPT_PATH, script);
  }
}
