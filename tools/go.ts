// Builds programs with the Go toolchain, in whatever way the user's environment has set it up.
import { renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { digestFolder } from "./artefact.ts";
import { repositoryDir } from "./inventory.ts";
import { mustRun, say } from "./run.ts";

export interface GoProgram {
  /** As in "OpenTofu 1.12.6". */
  name: string;
  /** On two cores; much less when Go has the parts in a cache of its own. */
  duration: string;
  build: { folder: string; package: string; flags?: string[] } | { install: string; version: string };
}

export function hasGo(): boolean {
  return Bun.which("go") !== null;
}

export function goInputs({ build }: GoProgram): unknown {
  return "folder" in build ? [build, digestFolder(join(repositoryDir, build.folder))] : build;
}

export function buildWithGo({ name, duration, build }: GoProgram, path: string): void {
  say(`Building ${name} with Go, about ${duration}, once …`);
  const dir = dirname(path);
  if ("folder" in build) {
    mustRun(`Building ${name}`, ["go", "build", ...(build.flags ?? []), "-o", path, build.package], {
      cwd: join(repositoryDir, build.folder),
    });
    return;
  }
  mustRun(`Building ${name}`, ["go", "install", `${build.install}@v${build.version}`], {
    cwd: dir,
    env: { GOBIN: dir },
  });
  renameSync(join(dir, installedName(build.install)), path);
}

/** `go install` leaves a major version suffix out of the program's name. */
function installedName(importPath: string): string {
  return importPath.replace(/\/v\d+$/, "").replace(/^.*\//, "");
}
