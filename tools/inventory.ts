// What set-up prepared for the tests and the demo, and where: the type and the reader of .cache/tools.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const repositoryDir = join(import.meta.dir, "..");
export const cacheDir = join(repositoryDir, ".cache");
export const toolsFile = join(cacheDir, "tools.json");

export type TerraformKind = "terraform" | "opentofu";

export interface TerraformCli {
  /** For people and for test names, as in "Terraform 1.5.7". */
  name: string;
  kind: TerraformKind;
  version: string;
  path: string;
  origin: "PATH" | "built";
}

/** Where the providers in the mirror came from, for the CLIs of one kind. */
export interface ProviderOrigin {
  kind: TerraformKind;
  /** The host that CLIs of this kind put in front of "coder/coder". */
  host: string;
  from: "registry" | "built";
}

export interface Tools {
  format: typeof format;
  /** Asked for by --all or CI; later runs keep to it. */
  all: boolean;
  /** The first one is the default. */
  terraforms: [TerraformCli, ...TerraformCli[]];
  /** Goes into TF_CLI_CONFIG_FILE: `init` then takes the providers from the mirror, without a network. */
  cliConfig: string;
  agentapi: string;
  agentapiVersion: string;
  /** Node.js 18; null without --all or CI. */
  oldNode: string | null;
  /** Newest first. */
  coderProviders: [string, ...string[]];
  nullProvider: string;
  providerOrigins: ProviderOrigin[];
}

/** Goes up when the shape of Tools changes, so that an old file counts as missing. */
export const format = 2;

export function readTools(): Tools {
  const tools = findTools();
  if (tools === undefined) {
    throw new Error(`${toolsFile} is missing or out of date. Run: npm run setup`);
  }
  return tools;
}

export function findTools(): Tools | undefined {
  let text: string;
  try {
    text = readFileSync(toolsFile, "utf8");
  } catch {
    return undefined; // no set-up yet
  }
  const tools = JSON.parse(text) as Tools;
  return tools.format === format ? tools : undefined;
}
