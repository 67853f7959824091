// Gets the AgentAPI program: built with Go, or else the released one. Never from PATH, since tests need a known version.
import { chmodSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensureArtefact } from "./artefact.ts";
import { buildWithGo, goInputs, hasGo, type GoProgram } from "./go.ts";
import { cacheDir } from "./inventory.ts";
import { agentapiVersion, goVersion } from "./pins.ts";
import { platform } from "./provider.ts";
import { run, say, SetupError } from "./run.ts";

const releasesUrl =
  process.env.AGENTAPI_RELEASES_URL ?? "https://github.com/coder/agentapi/releases/download";
const downloadTimeoutMs = 300_000;

const program: GoProgram = {
  name: `AgentAPI ${agentapiVersion}`,
  duration: "15 seconds",
  build: { folder: "tools/agentapi", package: "github.com/coder/agentapi" },
};

/** Returns the path of the program. */
export async function ensureAgentapi(): Promise<string> {
  const target = join(cacheDir, "bin", "agentapi");
  await ensureArtefact({ target, inputs: goInputs(program), make });
  return target;
}

async function make(path: string): Promise<void> {
  const faults: string[] = [];
  const ways = hasGo() ? [buildIt, downloadIt] : [downloadIt];
  for (const way of ways) {
    try {
      await way(path);
      checkVersion(path);
      return;
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new SetupError(
    [
      `There is no way to get ${program.name}.`,
      ...faults,
      `Make ${releasesUrl} reachable (AGENTAPI_RELEASES_URL names another place), or install Go (${goVersion} or newer), with which it is built.`,
    ].join("\n"),
  );
}

function buildIt(path: string): void {
  buildWithGo(program, path);
}

async function downloadIt(path: string): Promise<void> {
  const url = `${releasesUrl}/v${agentapiVersion}/agentapi-${platform.replace("_", "-")}`;
  say(`Downloading ${program.name}, once: 14 MB from ${url} …`);
  const response = await fetch(url, {
    signal: AbortSignal.timeout(downloadTimeoutMs),
  }).catch((cause: unknown) => {
    throw new SetupError(
      `${url} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  });
  if (!response.ok) {
    throw new SetupError(`${url} answered ${response.status}.`);
  }
  writeFileSync(path, new Uint8Array(await response.arrayBuffer()));
  chmodSync(path, 0o755);
}

function checkVersion(path: string): void {
  const result = run([path, "--version"], { cwd: dirname(path) });
  if (!result.ok || !result.stdout.includes(agentapiVersion)) {
    throw new SetupError(`What came as ${program.name} says: ${result.output.slice(0, 200)}`);
  }
}
