// Fills the provider mirror for every chosen CLI, from its registry or else by Go, and writes the CLI configuration that points at it.
import { copyFileSync, existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ensureArtefact, writeWhole } from "./artefact.ts";
import { hasGo } from "./go.ts";
import { cacheDir, type ProviderOrigin, type TerraformCli } from "./inventory.ts";
import { goVersion } from "./pins.ts";
import { ensureBuilt, platform, programName, versionDir, type Provider } from "./provider.ts";
import { askHost, download } from "./registry.ts";
import { say, SetupError } from "./run.ts";

const mirrorDir = join(cacheDir, "providers");
export const cliConfigFile = join(cacheDir, "terraform.tfrc");

/** `known` is what earlier set-ups found out; asking a registry again is slow. */
export async function fillMirror(
  terraforms: readonly TerraformCli[],
  providers: readonly [Provider, ...Provider[]],
  known: readonly ProviderOrigin[],
): Promise<ProviderOrigin[]> {
  const origins: ProviderOrigin[] = [];
  for (const cli of terraforms) {
    if (origins.some(({ kind }) => kind === cli.kind)) {
      continue; // the same host, so the same mirror
    }
    const earlier = known.find(({ kind }) => kind === cli.kind);
    const host = earlier?.host ?? (await askHost(cli, providers[0]));
    const downloaded =
      earlier?.from !== "built" && (await downloadAll(cli, host, providers, earlier !== undefined));
    if (!downloaded) {
      await buildAll(host, providers);
    }
    origins.push({
      kind: cli.kind,
      host,
      from: downloaded ? "registry" : "built",
    });
  }
  writeWhole(cliConfigFile, cliConfig(origins, providers));
  return origins;
}

/** Without trust, what is in the mirror may be built, and left by a set-up that did not finish. */
async function downloadAll(
  cli: TerraformCli,
  host: string,
  providers: readonly Provider[],
  trustMirror: boolean,
): Promise<boolean> {
  for (const provider of providers) {
    if (trustMirror && existsSync(join(mirrorDir, versionDir(host, provider), platform))) {
      continue;
    }
    const name = `${provider.namespace}/${provider.type} ${provider.version}`;
    say(`Asking ${host} for provider ${name}, once …`);
    const reason = await download(cli, host, provider, mirrorDir);
    if (reason === undefined) {
      continue;
    }
    if (!hasGo()) {
      throw new SetupError(
        `${cli.name} could not download provider ${name}: ${reason}\n` +
          `Make the registry reachable (HTTPS_PROXY, a mirror in ~/.terraformrc), or install Go (${goVersion} or newer), with which the provider is then built.`,
      );
    }
    say(`It cannot be had there, so Go builds the providers. ${reason}`);
    return false;
  }
  return true;
}

async function buildAll(host: string, providers: readonly Provider[]): Promise<void> {
  for (const provider of providers) {
    const program = await ensureBuilt(provider);
    const dir = join(mirrorDir, versionDir(host, provider), platform);
    await ensureArtefact({
      target: join(dir, programName(provider)),
      inputs: [statSync(program).size, statSync(program).mtimeMs],
      make: (path) => {
        // A downloaded program may have another name, and Terraform wants just one in the folder.
        rmSync(dir, { recursive: true, force: true });
        copyFileSync(program, path);
      },
    });
  }
}

function cliConfig(origins: readonly ProviderOrigin[], providers: readonly Provider[]): string {
  const mirrored = origins.flatMap(({ host }) =>
    providers.map(({ namespace, type }) => `${host}/${namespace}/${type}`),
  );
  const lines = [`  filesystem_mirror { path = ${JSON.stringify(mirrorDir)} }`];
  if (origins.every(({ from }) => from === "registry")) {
    // Whatever else a configuration asks for comes as usual.
    lines.push(`  direct { exclude = ${JSON.stringify([...new Set(mirrored)])} }`);
  }
  return ["provider_installation {", ...lines, "}", ""].join("\n");
}
