// Downloads providers the way a user would, by `init`, and keeps them in the mirror.
import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { inTemporaryDir } from "./artefact.ts";
import type { TerraformCli } from "./inventory.ts";
import { versionDir, type Provider } from "./provider.ts";
import { run, type RunResult } from "./run.ts";
import { terraformEnv } from "./terraform-env.ts";

/** Terraform gives up on a silent registry by itself within half a minute; the rest is for a slow download. */
const initTimeoutMs = 180_000;

/** The host that the CLI puts in front of "coder/coder"; every CLI has a default of its own. */
export function askHost(cli: TerraformCli, provider: Provider): Promise<string> {
  return inTemporaryDir((dir) => {
    const { stdout, output } = runInScratchRoot(cli, "providers", provider, dir);
    const host = /provider\[([^/\]]+)\//.exec(stdout)?.[1];
    if (host === undefined) {
      throw new Error(`no host in what \`${cli.path} providers\` printed: ${output}`);
    }
    return host;
  });
}

/** Returns the reason when it is impossible. */
export function download(
  cli: TerraformCli,
  host: string,
  provider: Provider,
  mirrorDir: string,
): Promise<string | undefined> {
  return inTemporaryDir((dir) => {
    const result = runInScratchRoot(cli, "init", provider, dir);
    if (!result.ok) {
      return reasonIn(result.output);
    }
    // `init` unpacks a provider in the very layout of a mirror, possibly as links into a cache of the user's.
    const folder = versionDir(host, provider);
    const copy = join(dir, "copy");
    cpSync(join(dir, ".terraform", "providers", folder), copy, {
      recursive: true,
      dereference: true,
    });
    const target = join(mirrorDir, folder);
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { recursive: true, force: true });
    renameSync(copy, target);
    return undefined;
  });
}

function runInScratchRoot(cli: TerraformCli, command: string, provider: Provider, dir: string): RunResult {
  const { namespace, type, version } = provider;
  const required = { [type]: { source: `${namespace}/${type}`, version } };
  writeFileSync(join(dir, "main.tf.json"), JSON.stringify({ terraform: { required_providers: required } }));
  return run([cli.path, command, "-no-color"], {
    cwd: dir,
    env: terraformEnv(),
    timeoutMs: initTimeoutMs,
  });
}

/** The end of Terraform's first framed error, where the cause stands, in one line. */
function reasonIn(output: string): string {
  const [frame = ""] = output.slice(output.indexOf("Error: ")).split("╵");
  const [error = ""] = frame
    .replaceAll(/[\s│]+/g, " ")
    .trim()
    .split(" To see which modules");
  return error.length > 200 ? `… ${error.slice(-200)}` : error;
}
