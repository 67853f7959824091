// Makes a file of the cache once, whole or not at all, and again only when what it is made from changed.
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { cacheDir } from "./inventory.ts";

const stampsDir = join(cacheDir, "stamps");
const temporaryDir = join(cacheDir, "tmp");

export interface Artefact {
  target: string;
  /** Whatever decides on the content; compared as JSON. */
  inputs: unknown;
  /** Writes the file to the given path, in a folder of its own. */
  make: (path: string) => void | Promise<void>;
}

export async function ensureArtefact({ target, inputs, make }: Artefact): Promise<void> {
  const stampFile = join(stampsDir, relative(cacheDir, target).replaceAll(/[\\/]/g, "+"));
  const stamp = digest([process.platform, process.arch, inputs]);
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) {
    return;
  }
  await inTemporaryDir(async (dir) => {
    const made = join(dir, basename(target));
    await make(made);
    mkdirSync(dirname(target), { recursive: true });
    // An old stamp beside a new file would be a lie if we are stopped between the two renames.
    rmSync(stampFile, { force: true });
    renameSync(made, target);
  });
  writeWhole(stampFile, stamp);
}

/** Replaces a file in one step; leaves one alone that already has this content. */
export function writeWhole(target: string, content: string): void {
  if (existsSync(target) && readFileSync(target, "utf8") === content) {
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, target);
}

export async function inTemporaryDir<T>(use: (dir: string) => T | Promise<T>): Promise<T> {
  mkdirSync(temporaryDir, { recursive: true });
  removeLeftovers();
  const dir = mkdtempSync(join(temporaryDir, "made-"));
  try {
    return await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Of set-ups that were stopped. No step takes an hour, so a folder this old belongs to none that still runs. */
function removeLeftovers(): void {
  for (const name of readdirSync(temporaryDir)) {
    const dir = join(temporaryDir, name);
    if (Date.now() - (statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 3_600_000) {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

/** All files directly in the folder. */
export function digestFolder(dir: string): string {
  return digest(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name), "utf8")]),
  );
}

function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
