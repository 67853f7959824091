// The providers that the tests need: which versions, and how each is built where no registry can be reached.
import { join } from "node:path";
import { ensureArtefact } from "./artefact.ts";
import { buildWithGo, goInputs, type GoProgram } from "./go.ts";
import { cacheDir } from "./inventory.ts";

export interface Provider {
  /** What a build of ours is called. */
  builtName: string;
  namespace: string;
  type: string;
  version: string;
  build: GoProgram["build"];
}

export function coderProvider(version: string): Provider {
  const install = "github.com/coder/terraform-provider-coder/v2";
  return {
    builtName: `provider coder/coder ${version}`,
    namespace: "coder",
    type: "coder",
    version,
    build: { install, version },
  };
}

/** Built from a stand-in of our own: the Go module proxy does not serve the original. */
export function nullProvider(version: string): Provider {
  return {
    builtName: `a stand-in for provider hashicorp/null ${version}`,
    namespace: "hashicorp",
    type: "null",
    version,
    // Without the flag, a clone that git does not trust (another owner) cannot be built.
    build: {
      folder: "tools/terraform-provider-null",
      package: ".",
      flags: ["-buildvcs=false"],
    },
  };
}

/** The folder below a mirror, or below `.terraform/providers`, that holds exactly one version. */
export function versionDir(host: string, { namespace, type, version }: Provider): string {
  return join(host, namespace, type, version);
}

/** As Terraform spells it, which is as Go does. */
export const platform = `${process.platform}_${process.arch === "x64" ? "amd64" : process.arch}`;

/** Returns the path of the program. */
export async function ensureBuilt(provider: Provider): Promise<string> {
  const program: GoProgram = {
    name: provider.builtName,
    duration: "1 minute",
    build: provider.build,
  };
  const target = join(cacheDir, "bin", programName(provider));
  await ensureArtefact({
    target,
    inputs: goInputs(program),
    make: (path) => buildWithGo(program, path),
  });
  return target;
}

export function programName({ type, version }: Provider): string {
  return `terraform-provider-${type}_v${version}`;
}
