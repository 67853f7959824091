// Picks the Terraform and OpenTofu programs that the tests run with: those on PATH first, then built ones.
import { join } from "node:path";
import { ensureArtefact } from "./artefact.ts";
import { buildWithGo, goInputs, hasGo, type GoProgram } from "./go.ts";
import { cacheDir, type TerraformCli, type TerraformKind } from "./inventory.ts";
import { goVersion, oldestTerraform, openTofuVersion, terraformVersion } from "./pins.ts";
import { run, say, SetupError } from "./run.ts";
import { terraformEnv } from "./terraform-env.ts";

const labels = { terraform: "Terraform", opentofu: "OpenTofu" } as const;

interface BuiltCli {
  kind: TerraformKind;
  version: string;
  build: GoProgram["build"];
  duration: string;
}

const builtOpenTofu: BuiltCli = {
  kind: "opentofu",
  version: openTofuVersion,
  duration: "3 minutes",
  build: {
    folder: "tools/opentofu",
    package: "github.com/opentofu/opentofu/cmd/tofu",
    // Without it, the program calls itself a -dev version.
    flags: ["-ldflags=-X github.com/opentofu/opentofu/version.dev=no"],
  },
};

const builtTerraform: BuiltCli = {
  kind: "terraform",
  version: terraformVersion,
  duration: "1 minute",
  build: {
    install: "github.com/hashicorp/terraform",
    version: terraformVersion,
  },
};

/** `all` adds the pinned versions to what PATH offers. */
export async function pickTerraforms(all: boolean): Promise<[TerraformCli, ...TerraformCli[]]> {
  const onPath = [...findOnPath("terraform", "terraform"), ...findOnPath("opentofu", "tofu")];
  const [best] = onPath;
  if (best === undefined && !hasGo()) {
    throw new SetupError(
      `There is no usable Terraform. Install one of these and put it on PATH: Terraform or OpenTofu (${oldestTerraform} or newer), ` +
        `or Go (${goVersion} or newer), with which OpenTofu ${openTofuVersion} is then built.`,
    );
  }
  if (!all) {
    return [best ?? (await build(builtOpenTofu))];
  }
  const extra: TerraformCli[] = [];
  for (const pinned of [builtOpenTofu, builtTerraform]) {
    if (onPath.some(({ kind, version }) => kind === pinned.kind && version === pinned.version)) {
      continue;
    }
    if (hasGo()) {
      extra.push(await build(pinned));
    } else {
      say(
        `Left out: ${labels[pinned.kind]} ${pinned.version}, which is built with Go, and there is no Go on PATH.`,
      );
    }
  }
  const [first, ...others] = [...onPath, ...extra];
  if (first === undefined) {
    throw new Error("no Terraform in spite of Go"); // ruled out above
  }
  return [first, ...others];
}

function findOnPath(kind: TerraformKind, program: string): TerraformCli[] {
  const path = Bun.which(program);
  if (path === null) {
    return [];
  }
  const result = run([path, "version", "-json"], {
    cwd: cacheDir,
    env: terraformEnv(),
  });
  const version = /"terraform_version": *"([^"]+)"/.exec(result.stdout)?.[1];
  if (!result.ok || version === undefined) {
    say(`Passed over: ${path} does not tell its version (${result.output.split("\n")[0]}).`);
    return [];
  }
  if (Bun.semver.order(version, `${oldestTerraform}.0`) < 0) {
    say(`Passed over: ${path} is ${labels[kind]} ${version}, older than ${oldestTerraform}.`);
    return [];
  }
  return [{ name: `${labels[kind]} ${version}`, kind, version, path, origin: "PATH" }];
}

async function build({ kind, version, ...program }: BuiltCli): Promise<TerraformCli> {
  const name = `${labels[kind]} ${version}`;
  const path = join(cacheDir, "bin", `${kind}-${version}`);
  const goProgram: GoProgram = { name, ...program };
  await ensureArtefact({
    target: path,
    inputs: goInputs(goProgram),
    make: (temporary) => buildWithGo(goProgram, temporary),
  });
  return { name, kind, version, path, origin: "built" };
}
